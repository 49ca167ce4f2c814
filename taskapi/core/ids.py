"""Identifiers: UUIDv7 (RFC 9562), so that keys sort by the time they were made."""

from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """A fresh UUIDv7; two made by one process in the same millisecond still sort in order."""
    return UUID(int=uuid_utils.uuid7().int)


def new_id_text() -> str:
    """As ``new_id``, for many at once: its text alone is made much faster."""
    return str(uuid_utils.uuid7())
