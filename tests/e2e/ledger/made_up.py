"""Books in which all is well, and ways to spoil them: who judges has to find each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.ledger.books import Books, Delivery, Event, Mail, Note, Notification, Received
from tests.e2e.ledger.faults import Fault
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.plans import Planned
from tests.e2e.ledger.verdicts import Run

START = datetime(2027, 4, 1, 12, 0, tzinfo=UTC)
OWNER = "ada@example.org"
WORKER = "worker-some-host-100-abcdef/200"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run(run_id: str, *, schedule: str = "tea", due: float = 0, ended: float = 1, **more: Any) -> Run:
    """A run that was completed in time, unless something else is said of it."""
    usual: dict[str, Any] = {
        "scheduled_for": at(due),
        "due_at": at(due),
        "status": "completed",
        "reason": None,
        "trigger": "schedule",
        "action": "webhook",
        "attempt": 1,
        "lost_attempts": 0,
        "created_at": at(due),
        "queued_at": at(due),
        "first_started_at": at(due),
        "started_at": at(due),
        "finished_at": at(due + ended),
        "error": None,
    }
    return Run(id=run_id, schedule=schedule, **usual | more)


def note(what: str, *, of: str, attempt: int = 1, seconds: float = 0, kind: str = "run") -> Note:
    return Note(kind, of, what, attempt, WORKER, at(seconds))


def fault(kind: str, began: float, *, ended: float | None = None, process: int | None = None) -> Fault:
    start = START.timestamp()
    return Fault(kind, start + began, start + (began if ended is None else ended), kind, process)


def planned(*due: float, **policy: Any) -> Planned:
    body = {"overlap": "allow", "catch_up": "all", "notify": [], "params": {}, **policy}
    return Planned(body, frozenset(at(seconds) for seconds in due), OWNER)


def good() -> Books:
    """A schedule that calls and is told of, and one that reminds and skips: all of it written down right."""
    events = [
        Event("made tea", "schedule.created", "schedule", "tea", 1),
        Event("made nap", "schedule.created", "schedule", "nap", 2),
        Event("called", "run.completed", "run", "call", 3),
        Event("reminded", "run.completed", "run", "reminder", 4),
        Event("skipped", "schedule.runs_skipped", "schedule", "nap", 5, _skipped(1)),
        Event("over tea", "schedule.completed", "schedule", "tea", 6),
        Event("over nap", "schedule.completed", "schedule", "nap", 7),
        *(
            Event(f"told {one}", "notification.created", "notification", f"news {one}", 8 + one)
            for one in range(3)
        ),
    ]
    mails = [
        Mail("mail 0", "event:called", "run_completed", OWNER, "sent"),
        Mail("mail 1", "run:reminder:reminder:nap@example.org", "reminder", "nap@example.org", "sent"),
    ]
    hears = ("schedule.created", "schedule.completed")
    messages = [event.id for event in events if event.type in hears]
    deliveries = [Delivery(f"delivery of {message}", message, "succeeded", OWNER) for message in messages]
    successes = (
        *(("run", "call"), ("run", "reminder"), ("mail", "mail 0"), ("mail", "mail 1")),
        *(("delivery", delivery.id) for delivery in deliveries),
    )
    return Books(
        made={
            "tea": planned(0, notify=["completed"]),
            "nap": planned(0, 10, params={"to": "nap@example.org"}, start_deadline=5),
        },
        hears=hears,
        runs=[
            run("call"),
            run("reminder", schedule="nap", action="reminder"),
            run("late", schedule="nap", due=10, status="skipped", reason="too_late", attempt=0),
        ],
        schedules={"tea": "completed", "nap": "completed"},
        events=events,
        notifications=[
            Notification("news 0", "event:called", "run_completed", OWNER),
            Notification("news 1", "run:reminder:reminder", "reminder", OWNER),
            Notification("news 2", "event:skipped", "run_missed", OWNER),
        ],
        mails=mails,
        deliveries=deliveries,
        notes=[note("succeeded", of=name, kind=kind) for kind, name in successes],
        received=[Received(mail.id, mail.recipient) for mail in mails],
        told={OWNER: messages},
    )


def _skipped(number: int) -> dict[str, Any]:
    return {"reasons": {"too_late": number}, "missed": number}


def without(books: Books, field: str, thing_id: str) -> Books:
    """The books, but for one thing in them."""
    kept = [one for one in getattr(books, field) if one.id != thing_id]
    return _with(books, field, kept)


def with_more(books: Books, field: str, *things: object) -> Books:
    """The books, and some things more in them."""
    return _with(books, field, [*getattr(books, field), *things])


def changed(books: Books, field: str, thing_id: str, **values: Any) -> Books:
    """The books, with one thing in them as it should not be."""
    things = [replace(one, **values) if one.id == thing_id else one for one in getattr(books, field)]
    return _with(books, field, things)


def _with(books: Books, field: str, value: Any) -> Books:
    change: dict[str, Any] = {field: value}
    return replace(books, **change)


def nothing_found(books: Books, *faults: Fault) -> Judgement:
    return Judgement(list(books.runs), list(faults))
