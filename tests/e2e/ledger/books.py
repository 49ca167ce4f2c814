"""What is written down at the end of a trial, as it was read: the judges look at nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.e2e.ledger.plans import Planned
from tests.e2e.ledger.pulse import Stall
from tests.e2e.ledger.receiver import Call
from tests.e2e.ledger.verdicts import Run

RUNS = """
    SELECT id::text AS id, schedule_id::text AS schedule, scheduled_for, due_at, status, reason, trigger,
        action, attempt, lost_attempts, created_at, queued_at, first_started_at, started_at, finished_at,
        error
    FROM runs
"""
SCHEDULES = "SELECT id::text, status, created_at FROM schedules"
EVENTS = (
    "SELECT id::text, type, subject_type, subject_id::text, position, after FROM events ORDER BY position"
)
NOTIFICATIONS = """
    SELECT told.id::text, told.key, told.type, users.email
    FROM notifications AS told JOIN users ON users.id = told.user_id
"""
MAILS = "SELECT id::text, key, kind, recipient, status FROM emails"
DELIVERIES = """
    SELECT sent.id::text, sent.message_id::text, sent.status, users.email
    FROM webhook_deliveries AS sent
        JOIN webhooks ON webhooks.id = sent.webhook_id JOIN users ON users.id = webhooks.owner_id
"""


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the log of events."""

    id: str
    type: str
    kind: str
    subject: str
    position: int | None
    after: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody was told in the application."""

    id: str
    key: str
    type: str
    who: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the outbox of mails."""

    id: str
    key: str
    kind: str
    recipient: str
    status: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the outbox of somebody's webhook; its message is an event."""

    id: str
    message: str
    status: str
    who: str


@dataclass(frozen=True, slots=True)
class Note:
    """That a run, a mail or a delivery began an attempt, lost it, or succeeded."""

    kind: str
    id: str
    what: str
    attempt: int
    who: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Received:
    """What came in at the mail server: for which row, as its Message-ID says, and to whom."""

    mail: str
    recipient: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything that is written down, by taskapi and by those who were called or stood by.

    Attributes:
        made: the plans of the schedules that were answered with 201, by the schedule's id.
        hears: the types of events that the webhook of each owner is told of.
        told: the ids of the events that the webhook of each owner was told of, as they came.
        pushed: when each run was first put into a queue, in seconds since 1970, in that order.
        queues: which queue that was.
        stalls: when the machine itself stood still.
    """

    made: Mapping[str, Planned]
    hears: Sequence[str] = ()
    runs: Sequence[Run] = ()
    schedules: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Event] = ()
    notifications: Sequence[Notification] = ()
    mails: Sequence[Mail] = ()
    deliveries: Sequence[Delivery] = ()
    notes: Sequence[Note] = ()
    calls: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    received: Sequence[Received] = ()
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pushed: Mapping[str, float] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    stalls: Sequence[Stall] = ()

    def owner(self, schedule: str) -> str:
        """Who owns a schedule; nobody owns one that nobody has made."""
        planned = self.made.get(schedule)
        return planned.owner if planned else ""

    def body(self, run: Run) -> Mapping[str, Any]:
        """What was asked for of the schedule of a run; empty if nobody asked for any."""
        planned = self.made.get(run.schedule)
        return planned.body if planned else {}
