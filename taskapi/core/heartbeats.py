"""Signs of life of processes that keep the system going, which several rooms tell of."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core.columns import UtcDateTime
from taskapi.core.db import Base, read_database_clock, session


class Heartbeat(Base):
    """When a process was last known to be alive, by the database's clock."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20), index=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


def scheduler_last_seen() -> tuple[datetime | None, datetime]:
    """When a scheduler was last alive, and what time it is, both by the database's clock."""
    newest = sa.select(sa.func.max(Heartbeat.seen_at)).where(Heartbeat.kind == "scheduler")
    return session().scalar(newest), read_database_clock()
