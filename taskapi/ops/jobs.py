"""Housekeeping jobs that belong to no other room."""

from taskapi.accounts import sign_in
from taskapi.core.db import transaction
from taskapi.core.idempotency import forget_old_keys
from taskapi.events.retention import forget_old_readers
from taskapi.tasks.importing.service import forget_old_changes


def forget_old_rows() -> None:
    """Remove sessions, tokens, keys, what imports changed and whom events were for: of no use any more."""
    with transaction():
        sign_in.forget_ended_sessions()
        forget_old_keys()
        forget_old_changes()
    forget_old_readers()
