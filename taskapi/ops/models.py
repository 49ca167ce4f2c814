"""Signs of life of processes that keep the system going."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core.columns import UtcDateTime
from taskapi.core.db import Base


class Heartbeat(Base):
    """When a process was last known to be alive, by the database's clock."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20), index=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
