"""Housekeeping jobs that belong to no other room."""

from taskapi.accounts import sign_in
from taskapi.core.db import transaction
from taskapi.core.idempotency import forget_old_keys
from taskapi.events.retention import forget_old_readers
from taskapi.notifications.retention import forget_old_messages
from taskapi.tasks.importing.service import forget_old_changes


def forget_old_rows() -> None:
    """Remove what is of no use any more: sessions, keys, messages, old changes, whom events were for."""
    with transaction():
        sign_in.forget_ended_sessions()
        forget_old_keys()
        forget_old_changes()
    forget_old_readers()
    forget_old_messages()
