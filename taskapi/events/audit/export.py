"""The audit log as JSON lines, from which another program can verify the chain (`docs/audit.md`)."""

from collections.abc import Iterator
from typing import Any

import orjson

from taskapi.core.db import db
from taskapi.core.events import Event
from taskapi.events.audit.chain import content_of, record_of
from taskapi.events.audit.queries import AuditFilter, placed_events

BATCH = 500


def export_lines(wanted: AuditFilter) -> Iterator[bytes]:
    """The events that fit, in the order of the chain, each as a line; a batch of lines at a time.

    Between two batches no connection is held: who takes them may take their time.
    """
    position = 0
    while True:
        events = placed_events(wanted, after=position, limit=BATCH)
        lines = b"".join(line_of(event) for event in events)
        position = events[-1].position or position if events else position
        db.session.remove()
        if lines:
            yield lines
        if len(events) < BATCH:
            return


def line_of(event: Event) -> bytes:
    """One event with all that is hashed; bytes in hexadecimal."""
    line: dict[str, Any] = {
        **record_of(event),
        **content_of(event),
        "salt": _hex(event.salt),
        "hash": _hex(event.hash),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _hex(value: bytes | None) -> str | None:
    return value.hex() if value is not None else None
