"""Secret addresses at which calendar programs read what is due."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, UtcDateTime
from taskapi.core.db import Base
from taskapi.core.digests import tag_of_used


class CalendarFeed(HasId, Base):
    """An address that a person gives to a calendar program; its secret part is kept as a hash."""

    __tablename__ = "calendar_feeds"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(100))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (sa.Index("ix_calendar_feeds_user", "user_id", "created_at", "id"),)

    @property
    def entity_tag(self) -> str:
        """Changes as its use is noted."""
        return tag_of_used(self.id, self.last_used_at)
