"""Which worker sends for a webhook: one at a time, for a while, by the database's clock.

A worker that dies hands the webhook on as soon as its lease has run out; one that only was slow
finds that it is not its own any more before it writes anything. What either had just sent goes out
again, under the same id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.background.enqueue import JobCall, count_workers, enqueue, queued_job_ids
from taskapi.background.names import SEND_WEBHOOK, Queue
from taskapi.core.db import database_now, on_commit, session
from taskapi.events.webhooks import queries
from taskapi.events.webhooks.models import Webhook

# More than a call and what is written down of it take.
LEASE_SECONDS = 20.0
# More than a slice and its last call take.
JOB_SECONDS = 60
SWEPT_AT_ONCE = 500


class LeaseLost(Exception):
    """Another worker has taken the webhook over, or it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to send for a webhook; void once ``attempt`` has changed."""

    id: UUID
    attempt: int
    owner_id: UUID


def senders_at_once() -> int:
    """How many webhooks are sent at once: while receivers are slow, one worker is left for all else."""
    return max((count_workers() or 1) - 1, 1)


def take(webhook_id: UUID, *, senders: int) -> Claim | None:
    """Take a webhook over that nobody sends for; None if there is nothing to send now.

    Args:
        senders: how many webhooks may be sent at once, this one included.
    """
    claimed = (
        sa.update(Webhook)
        .where(Webhook.id == webhook_id, *queries.is_due(), queries.is_sender_free(senders))
        .values(attempt=Webhook.attempt + 1, lease_until=database_now(LEASE_SECONDS))
        .returning(Webhook.attempt, Webhook.owner_id)
        .execution_options(synchronize_session=False)
    )
    row = session().execute(claimed).one_or_none()
    return None if row is None else Claim(id=webhook_id, attempt=row.attempt, owner_id=row.owner_id)


def renew(claim: Claim) -> tuple[Webhook, datetime]:
    """The webhook, locked, and its sender's for another while; and the time by the database's clock.

    Raises:
        LeaseLost
    """
    statement: Any = (
        sa.update(Webhook)
        .where(Webhook.id == claim.id, Webhook.attempt == claim.attempt)
        .values(lease_until=database_now(LEASE_SECONDS))
        .returning(Webhook, database_now())
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    row = session().execute(statement).one_or_none()
    if row is None:
        raise LeaseLost
    return row[0], row[1]


def give_back(claim: Claim, *, pause: float | None = None) -> None:
    """Let others send for the webhook; with ``pause`` not before so many seconds.

    Raises:
        LeaseLost
    """
    webhook, _ = renew(claim)
    webhook.lease_until = database_now()
    if pause is not None:
        webhook.retry_at = database_now(pause)
    session().flush()


def send_later(webhooks: Mapping[UUID, int]) -> None:
    """Have workers send for these webhooks, by id and attempt, once the transaction has committed."""
    on_commit(
        _enqueue, {_job_id(webhook_id, attempt): webhook_id for webhook_id, attempt in webhooks.items()}
    )


def sweep() -> None:
    """Queue webhooks that are due and not queued: a pause or a queue is over, or a worker died.

    What is tried again comes last: it may well take its time once more.
    """
    due = sa.select(Webhook.id, Webhook.attempt).where(*queries.is_due())
    in_turn = due.order_by(Webhook.retry_at.is_not(None), Webhook.lease_until)
    rows = session().execute(in_turn.limit(SWEPT_AT_ONCE)).all()
    session().rollback()
    in_redis = (queued_job_ids(Queue.WEBHOOKS) if rows else None) or set()
    found = {_job_id(row.id, row.attempt): row.id for row in rows}
    _enqueue({job_id: each for job_id, each in found.items() if job_id not in in_redis})


def _job_id(webhook_id: UUID, attempt: int) -> str:
    return f"webhook-{webhook_id}-{attempt}"


def _enqueue(jobs: Mapping[str, UUID]) -> None:
    calls = [
        JobCall(name=SEND_WEBHOOK, args=[str(webhook_id)], job_id=job_id, timeout=JOB_SECONDS)
        for job_id, webhook_id in jobs.items()
    ]
    enqueue(Queue.WEBHOOKS, calls)
