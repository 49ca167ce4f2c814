"""Housekeeping jobs that belong to no other room."""

from taskapi.accounts import sign_in
from taskapi.core.db import transaction
from taskapi.core.idempotency import forget_old_keys


def forget_old_rows() -> None:
    """Remove sessions, tokens and keys that can never be used again."""
    with transaction():
        sign_in.forget_ended_sessions()
        forget_old_keys()
