"""Which worker an import belongs to: taken by a conditional update, for a while, by the database's clock.

A worker that dies hands the import on as soon as its lease has run out; one that only was slow
finds that it is not its own any more before it writes anything.
"""

import time
from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.background.enqueue import JobCall, enqueue, queued_job_ids
from taskapi.background.names import IMPORT_TASKS, Queue
from taskapi.core.db import database_now, on_commit, session, transaction
from taskapi.tasks.importing.models import IS_OPEN, TaskImport

log = structlog.get_logger(__name__)

LEASE_SECONDS, RENEW_SECONDS = 20.0, 5.0
# More than a slice and the way to it take.
JOB_SECONDS = 600
SWEPT_AT_ONCE = 500


class LeaseLost(Exception):
    """Another worker has taken the import over, or it is gone."""


@dataclass(slots=True, kw_only=True)
class Claim:
    """The right to work on an import; void once ``attempt`` has changed."""

    id: UUID
    attempt: int
    tries: int
    status: str
    renewed_at: float = field(default_factory=time.monotonic)


def take(import_id: UUID) -> Claim | None:
    """Take an import over that nobody works on; None if there is nothing to do."""
    free = (TaskImport.id == import_id, IS_OPEN, TaskImport.lease_until <= database_now())
    begun = sa.case((TaskImport.status == "pending", "running"), else_=TaskImport.status)
    claimed = (
        sa.update(TaskImport)
        .where(*free)
        .values(
            status=begun,
            attempt=TaskImport.attempt + 1,
            tries=TaskImport.tries + 1,
            version=TaskImport.version + 1,
            started_at=sa.func.coalesce(TaskImport.started_at, database_now()),
            lease_until=database_now(LEASE_SECONDS),
        )
        .returning(TaskImport.attempt, TaskImport.tries, TaskImport.status)
        .execution_options(synchronize_session=False)
    )
    row = session().execute(claimed).one_or_none()
    if row is None:
        return None
    return Claim(id=import_id, attempt=row.attempt, tries=row.tries, status=row.status)


def lock(claim: Claim) -> TaskImport:
    """The import, locked, so that nobody takes it over before the transaction ends.

    Raises:
        LeaseLost
    """
    statement = sa.select(TaskImport).where(*_mine(claim)).with_for_update()
    row = session().scalar(statement.execution_options(populate_existing=True))
    if row is None:
        raise LeaseLost
    return row


def keep(claim: Claim) -> None:
    """Renew the lease while something takes long, in a transaction of its own.

    Raises:
        LeaseLost
    """
    if time.monotonic() - claim.renewed_at < RENEW_SECONDS:
        return
    with transaction():
        lock(claim).lease_until = database_now(LEASE_SECONDS)
    claim.renewed_at = time.monotonic()


def move_on(row: TaskImport) -> None:
    """The import, which is locked, got further: whatever stopped it before is overcome."""
    row.lease_until, row.tries = database_now(LEASE_SECONDS), 0
    row.version += 1
    session().flush()


def give_back(claim: Claim) -> None:
    """Let others come first, and go on after them.

    Raises:
        LeaseLost
    """
    row = lock(claim)
    row.lease_until = database_now()
    session().flush()
    work_later(row)


def put_off(claim: Claim) -> None:
    """Try again when the lease has run out: what the import needs is away, which is not its fault.

    Raises:
        LeaseLost
    """
    row = lock(claim)
    row.lease_until, row.tries = database_now(LEASE_SECONDS), 0
    session().flush()


def work_later(row: TaskImport) -> None:
    """Have a worker take the import once the transaction has committed."""
    on_commit(_enqueue, {_job_id(row.id, row.attempt): str(row.id)})


def sweep() -> None:
    """Queue imports that nobody works on and that are not queued."""
    waiting = sa.select(TaskImport.id, TaskImport.attempt).where(
        IS_OPEN, TaskImport.lease_until <= database_now()
    )
    oldest = waiting.order_by(TaskImport.lease_until).limit(SWEPT_AT_ONCE)
    found = {_job_id(row.id, row.attempt): str(row.id) for row in session().execute(oldest)}
    session().rollback()
    in_redis = (queued_job_ids(Queue.IMPORTS) if found else None) or set()
    _enqueue({job_id: import_id for job_id, import_id in found.items() if job_id not in in_redis})


def _mine(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return TaskImport.id == claim.id, TaskImport.attempt == claim.attempt, TaskImport.status == claim.status


def _job_id(import_id: UUID, attempt: int) -> str:
    return f"import-{import_id}-{attempt}"


def _enqueue(jobs: dict[str, str]) -> None:
    calls = [
        JobCall(name=IMPORT_TASKS, args=[import_id], job_id=job_id, timeout=JOB_SECONDS)
        for job_id, import_id in jobs.items()
    ]
    enqueue(Queue.IMPORTS, calls)
