"""``Idempotency-Key``: a POST that is repeated answers again instead of acting again.

The key's row is written in the transaction of the work, so both exist or neither. A second
request with the key waits at its unique index until the first has ended.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, request
from sqlalchemy.orm import Mapped, mapped_column

from taskapi.core import clock
from taskapi.core.access import Actor, current_actor
from taskapi.core.columns import HasId, Json, UtcDateTime
from taskapi.core.db import Base, session, transaction
from taskapi.core.errors import DomainError, ValidationFailed
from taskapi.core.parser import read_body
from taskapi.core.receiving import Received
from taskapi.core.signing import SealBroken, keyed_digests, seal, unseal
from taskapi.core.upserts import insert_if_new

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")
STORED_HEADERS = ("Cache-Control", "Content-Type", "ETag", "Location")
# An answer that no cache may keep holds what lets somebody in: it is kept sealed.
CONFIDENTIAL = "no-store"
PURPOSE = "idempotency"


class IdempotencyKey(HasId, Base):
    """A key that a user sent to a path, and the answer that it was given."""

    __tablename__ = "idempotency_keys"

    # Whose answers these are: they go when the account is closed.
    user_id: Mapped[UUID] = mapped_column(sa.Uuid, index=True)
    # SHA-256 of user, method, path and key.
    scope: Mapped[str] = mapped_column(sa.String(64), unique=True)
    # SHA-256 of query and body, or of what stands for a body that is larger than memory.
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now, index=True)


class IdempotencyKeyReused(DomainError):
    """This key came before, within 24 hours, with another body or query: use a new key for new work."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class AnswerUnreadable(DomainError):
    """This key did its work, but the answer held a secret, and the key that sealed it is gone: look it up."""

    status = 409
    code = "idempotent_answer_unreadable"
    title = "The first answer cannot be given again"


def idempotent(view: Callable[..., Response]) -> Callable[..., Response]:
    """Give a view that creates something the header's meaning; without the header nothing changes.

    Only successes are kept: a refusal changed nothing, so the key may be tried again.
    """

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Response:
        if HEADER not in request.headers:
            return view(*args, **kwargs)
        received: Received | None = kwargs.get("received")
        content = received.fingerprint if received else read_body(request)
        scope = _scope(request.headers[HEADER])
        fingerprints = keyed_digests(PURPOSE, _digest(request.query_string, content).encode())
        with transaction():
            stored = _claim(scope, fingerprints[0])
            if stored is not None:
                return _replay(stored, fingerprints)
            response = view(*args, **kwargs)
            _store(scope, response)
            return response

    return wrapper


def _scope(key: str) -> str:
    if not VISIBLE_ASCII.fullmatch(key):
        raise ValidationFailed({HEADER: ["Use 1 to 255 visible ASCII characters."]})
    actor = current_actor()
    # What an administrator was answered is not for a program of theirs that sees less.
    who = f"{actor.user_id}" if actor.is_admin == (actor.role == "admin") else f"{actor.user_id} as anybody"
    parts = (who, request.method, request.path.rstrip("/"), key)
    return _digest(*(part.encode() for part in parts))


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def _claim(scope: str, fingerprint: str) -> IdempotencyKey | None:
    """Take the key, or give back what it answered before."""
    too_old = IdempotencyKey.created_at <= clock.now() - KEPT
    forget = sa.delete(IdempotencyKey).where(IdempotencyKey.scope == scope, too_old)
    session().execute(forget.execution_options(synchronize_session=False))
    values = {"scope": scope, "fingerprint": fingerprint, "created_at": clock.now()}
    if insert_if_new(IdempotencyKey, user_id=current_actor().user_id, **values):
        return None
    return session().execute(sa.select(IdempotencyKey).where(IdempotencyKey.scope == scope)).scalar_one()


def _replay(stored: IdempotencyKey, fingerprints: Sequence[str]) -> Response:
    headers = {**(stored.headers or {}), "Idempotent-Replayed": "true"}
    body = stored.body or b""
    # First: where the key has gone that sealed it, the fingerprint is not known again either.
    if headers.get("Cache-Control") == CONFIDENTIAL:
        body = _opened(body)
    if stored.fingerprint not in fingerprints:
        raise IdempotencyKeyReused("The key was used before with another body or query.")
    return Response(body, status=stored.status, headers=headers)


def _opened(sealed: bytes) -> bytes:
    try:
        return unseal(sealed.decode(), PURPOSE).encode()
    except SealBroken as error:
        raise AnswerUnreadable(
            "It was made, but SECRET_KEY was changed since, so its secret cannot be shown again."
            " Delete what was made, and make another with a new key."
        ) from error


def _store(scope: str, response: Response) -> None:
    kept = {name: response.headers[name] for name in STORED_HEADERS if name in response.headers}
    body = response.get_data()
    if kept.get("Cache-Control") == CONFIDENTIAL:
        body = seal(body.decode(), PURPOSE).encode()
    session().execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.scope == scope)
        .values(status=response.status_code, headers=kept, body=body)
        .execution_options(synchronize_session=False)
    )


def forget_answers_of(user_id: UUID, _actor: Actor | None) -> None:
    """Remove what a user was answered, whose account is closed."""
    theirs = sa.delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id)
    session().execute(theirs.execution_options(synchronize_session=False))


def forget_old_keys() -> None:
    """Remove keys whose day is over."""
    old = sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= clock.now() - KEPT)
    session().execute(old.execution_options(synchronize_session=False))
