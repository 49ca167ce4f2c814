"""What the last self-audit found."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core.columns import Json, UtcDateTime
from taskapi.core.db import Base


class SelfAudit(Base):
    """What the newest look at one part of the system found; one row for each part."""

    __tablename__ = "self_audits"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    findings: Mapped[dict[str, Any]] = mapped_column(Json)
