"""Users, the sessions they are signed in with, and the refresh tokens of each session."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, HasTimestamps, Json, UtcDateTime
from taskapi.core.db import Base


class User(HasId, HasTimestamps, Base):
    """A person. E-mail and username are unique without regard to case: the keys are case-folded."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(sa.String(254))
    email_key: Mapped[str] = mapped_column(sa.String(254), unique=True)
    username: Mapped[str] = mapped_column(sa.String(50))
    username_key: Mapped[str] = mapped_column(sa.String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    full_name: Mapped[str | None] = mapped_column(sa.String(200))
    avatar_url: Mapped[str | None] = mapped_column(sa.String(500))
    role: Mapped[str] = mapped_column(sa.String(10), default="user")
    is_active: Mapped[bool] = mapped_column(default=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    timezone: Mapped[str] = mapped_column(sa.String(64), default="UTC")
    notification_preferences: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    __table_args__ = (sa.CheckConstraint("role IN ('user', 'admin')", name="role"),)
    __mapper_args__ = {"version_id_col": version}


class SignInSession(HasId, Base):
    """One sign-in on one device: the family of its refresh tokens ends with it."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RefreshToken(HasId, Base):
    """An opaque token, kept as a hash; once spent it may only be repeated within the grace time."""

    __tablename__ = "refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(sa.ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    spent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
