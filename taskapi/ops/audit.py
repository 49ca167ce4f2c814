"""The self-audit: the system looks at itself, and keeps what it found for those who ask."""

from typing import Any

import sqlalchemy as sa
import structlog

from taskapi.core import clock
from taskapi.core.db import database_now, read_database_clock, session, transaction
from taskapi.core.upserts import insert_into
from taskapi.ops.models import SelfAudit
from taskapi.schedules import health

log = structlog.get_logger(__name__)

SCHEDULES = "schedules"
# With what must pass before something counts as a fault, each is found within a minute; one without a
# next time within three.
AUDIT_SECONDS = 30.0
MAX_CLOCK_OFFSET_SECONDS = 5.0
# What does not mend itself.
ALARMING = ("overdue", "unstarted", "without_next_time", "dead_leases")


def audit_if_due() -> None:
    """Look again when the newest audit is old, whichever scheduler process made it."""
    recent = sa.exists().where(
        SelfAudit.name == SCHEDULES, SelfAudit.checked_at > database_now(-AUDIT_SECONDS)
    )
    is_recent = session().scalar(sa.select(recent))
    session().rollback()
    if not is_recent:
        audit()


def audit() -> dict[str, Any]:
    """Look for faults and keep what was found; counts, and the clock's offset in seconds."""
    offset = clock_offset()
    findings = {**health.find_faults(), "clock_offset": round(offset, 3)}
    with transaction():
        row = {"name": SCHEDULES, "checked_at": read_database_clock(), "findings": findings}
        insert = insert_into(SelfAudit).values(row)
        newest = {name: insert.excluded[name] for name in ("checked_at", "findings")}
        session().execute(insert.on_conflict_do_update(index_elements=[SelfAudit.name], set_=newest))
    if any(findings[name] for name in ALARMING) or is_off(offset):
        log.warning("audit.found", **findings)
    return findings


def last_audit() -> SelfAudit | None:
    """The newest audit, whichever process made it."""
    return session().get(SelfAudit, SCHEDULES, populate_existing=True)


def clock_offset() -> float:
    """By how many seconds the database's clock is ahead of this host's; call it outside a transaction."""
    # In a transaction the database's clock stands still.
    session().rollback()
    before = clock.now()
    there = read_database_clock()
    here = before + (clock.now() - before) / 2
    session().rollback()
    return (there - here).total_seconds()


def is_off(offset: float) -> bool:
    """Whether the clocks differ so much that times of events and of due times no longer fit together."""
    return abs(offset) > MAX_CLOCK_OFFSET_SECONDS
