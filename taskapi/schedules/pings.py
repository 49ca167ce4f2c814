"""Pings: calls from jobs outside that heartbeat checks wait for."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from taskapi.core.db import read_database_clock, session
from taskapi.core.events import record_event
from taskapi.core.json import storable_text
from taskapi.schedules.actions.base import Action
from taskapi.schedules.engine.signals import earliness, end_by_ping, oldest_waiting
from taskapi.schedules.models import Schedule

# 192 bits: nobody guesses it, so who knows it may ping.
TOKEN_BYTES = 24
TOKEN = re.compile(r"[A-Za-z0-9_-]+")
MAX_BODY_BYTES = 10_000


def ping_token_for(action: Action) -> str | None:
    """A fresh token for the address that a job calls, if the action waits for its calls."""
    return secrets.token_urlsafe(TOKEN_BYTES) if action.waits is not None else None


@dataclass(frozen=True, slots=True)
class Call:
    """How a ping came: by which method, with what body, from which address."""

    method: str
    body: bytes
    address: str | None


def is_known(*, token: str) -> bool:
    """Whether a check has this token, outside of a transaction.

    Anybody may guess: looking takes no write lock, which SQLite has only one of.
    """
    if not TOKEN.fullmatch(token):
        # A database may refuse even to look for it.
        return False
    found = session().scalar(_check(token).with_only_columns(Schedule.id))
    session().rollback()
    return found is not None


def receive_ping(*, token: str, failed: bool, call: Call) -> bool:
    """Take a ping: it ends the oldest run that waits, or counts for the due time that is near.

    One that nothing waits for is told to the owner, once between two due times. Returns whether
    there is such a check at all.
    """
    # Locked before its runs are looked at: of two pings at once the second sees what the first did.
    schedule = _lock_check(token)
    if schedule is None:
        return False
    now = schedule.last_ping_at = read_database_clock()
    body = storable_text(call.body[:MAX_BODY_BYTES].decode(errors="replace"))
    said = {"method": call.method, "body": body, "from": call.address}
    ping = {"at": now.isoformat(), "failed": failed, **said}
    run = oldest_waiting(schedule.id, at=now)
    if run is not None:
        end_by_ping(run, ping)
    elif schedule.status == "active" and schedule.next_run_at is not None:
        _keep_or_tell(schedule, schedule.next_run_at, ping, now)
    session().flush()
    return True


def _lock_check(token: str) -> Schedule | None:
    return session().scalar(_check(token).with_for_update().execution_options(populate_existing=True))


def _check(token: str) -> sa.Select[Schedule]:
    return sa.select(Schedule).where(Schedule.ping_token == token, Schedule.deleted_at.is_(None))


def _keep_or_tell(schedule: Schedule, due_at: datetime, ping: dict[str, Any], now: datetime) -> None:
    """Also when the due time has passed and no scheduler was there to dispatch it, a ping is for it."""
    counts_from = (schedule.dispatch_at or due_at) - earliness(schedule)
    kept = schedule.early_ping
    # One from before that was for a due time which no longer comes.
    is_free = kept is None or datetime.fromisoformat(kept["at"]) < counts_from
    if is_free and counts_from <= now:
        schedule.early_ping = ping
    elif schedule.ping_told_before != due_at:
        schedule.ping_told_before = due_at
        record_event(
            "schedule.ping_unexpected",
            subject=("schedule", schedule.id),
            owner_id=schedule.owner_id,
            after={
                "schedule_name": schedule.name,
                "action": schedule.action,
                "at": ping["at"],
                "from": ping["from"],
                "next_run_at": due_at.isoformat(),
                "notify": schedule.notify,
            },
        )
