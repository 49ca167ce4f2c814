"""``Idempotency-Key``: a POST that is repeated answers again instead of acting again.

The key's row is written in the transaction of the work, so both exist or neither. A second
request with the key waits at its unique index until the first has ended.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.columns import HasId, Json, UtcDateTime
from taskapi.core.db import Base


class IdempotencyKey(HasId, Base):
    """A key that a user sent to a path, and the answer that it was given."""

    __tablename__ = "idempotency_keys"

    # SHA-256 of user, method, path and key.
    scope: Mapped[str] = mapped_column(sa.String(64), unique=True)
    # SHA-256 of query and body.
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now, index=True)
