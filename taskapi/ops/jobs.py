"""Housekeeping jobs that belong to no other room."""

from taskapi.accounts import sign_in
from taskapi.core.db import transaction


def forget_old_rows() -> None:
    """Remove sessions and tokens that can never be used again."""
    with transaction():
        sign_in.forget_ended_sessions()
