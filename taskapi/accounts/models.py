"""Users, and everything that lets one in: sessions, tokens, one-time links, second factors."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, HasTimestamps, Json, UtcDateTime, partial_index
from taskapi.core.db import Base
from taskapi.core.digests import tag_of_used


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
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    __table_args__ = (
        sa.CheckConstraint("role IN ('user', 'admin')", name="role"),
        partial_index("ix_users_created", "created_at", "id", where="closed_at IS NULL"),
    )
    __mapper_args__ = {"version_id_col": version}


class SignInSession(HasId, Base):
    """One sign-in on one device: the family of its refresh tokens ends with it."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Where it was last used: an IP address, and what the program called itself.
    address: Mapped[str | None] = mapped_column(sa.String(45))
    user_agent: Mapped[str | None] = mapped_column(sa.String(300))


class RefreshToken(HasId, Base):
    """An opaque token, kept as a hash; once spent it may only be repeated within the grace time."""

    __tablename__ = "refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(sa.ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    spent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PersonalToken(HasId, Base):
    """A token that a person gives to a program, with less power than they have; kept as a hash."""

    __tablename__ = "personal_tokens"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(100))
    scopes: Mapped[list[str]] = mapped_column(Json)
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (sa.Index("ix_personal_tokens_user", "user_id", "created_at", "id"),)

    @property
    def entity_tag(self) -> str:
        """Changes as its use is noted."""
        return tag_of_used(self.id, self.last_used_at)


class OneTimeToken(HasId, Base):
    """A token in a mailed link that works once. Its secret is derived from the key and never stored."""

    __tablename__ = "one_time_tokens"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(sa.String(20))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (sa.CheckConstraint("purpose IN ('password_reset', 'verify_email')", name="purpose"),)


class SignInFailures(Base):
    """How often signing in failed for one account lately; unknown names are counted alike."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    count: Mapped[int]
    since: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SecondFactor(Base):
    """A user's TOTP secret (RFC 6238), sealed with the installation's key."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    sealed_secret: Mapped[str] = mapped_column(sa.String(300))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    # It is asked for at sign-in once the first code has shown that the program knows the secret.
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The time step of the last code taken: none is taken twice.
    last_step: Mapped[int | None] = mapped_column(sa.BigInteger)


class RecoveryCode(HasId, Base):
    """Signs in once without the second factor; kept as a hash."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[str] = mapped_column(sa.String(64))
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (sa.UniqueConstraint("user_id", "code_hash"),)
