"""Whether everybody was told of everything, once each: events, notifications, mails, and a webhook."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.e2e.ledger.books import Books, Event, Mail
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.verdicts import Run, was_ended_from_the_first

# How a run ends that somebody is told of by itself; skipped ones are told of together.
ENDS = ("completed", "failed", "cancelled")
SKIPPED = "schedule.runs_skipped"
REMINDER, MISSED = "reminder", "run_missed"
# A mail about somebody's account is no matter of schedules.
OF_ACCOUNTS = frozenset({"verify_email"})


def look_at_telling(found: Judgement, books: Books) -> None:
    found.blame("events without a place in the log", [one.id for one in books.events if one.position is None])
    _look_at_run_events(found, books)
    _look_at_schedule_events(found, books)
    _look_at_skips(found, books)
    _look_at_notifications(found, books)
    _look_at_mails(found, books)
    _look_at_deliveries(found, books)


def _events_of(books: Books, kind: str) -> dict[str, Counter[str]]:
    """How many events of each type there are of each thing of a kind."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for event in books.events:
        if event.kind == kind:
            found[event.subject][event.type] += 1
    return found


def _look_at_run_events(found: Judgement, books: Books) -> None:
    """Each run's end has its event, and nothing else is told of it."""
    there, runs = _events_of(books, "run"), {run.id: run for run in books.runs}
    wrong = [
        (run.id, run.status, run.reason, dict(types))
        for run in books.runs
        if (types := there.get(run.id, Counter())) not in _may_be_told(run, books)
    ]
    found.blame("runs whose end does not have its one event", wrong)
    found.blame("events of runs that are not there", there.keys() - runs.keys())
    found.count(run_events=sum(sum(types.values()) for types in there.values()))


def _may_be_told(run: Run, books: Books) -> list[Counter[str]]:
    if run.status not in ENDS or was_ended_from_the_first(run):
        return [Counter()]
    end = Counter({f"run.{run.status}": 1})
    # One that is being done is asked to stop, and may complete all the same.
    may_be_asked = run.attempt and books.body(run).get("overlap") == "replace"
    return [end, end + Counter({"run.cancel_requested": 1})] if may_be_asked else [end]


def _look_at_schedule_events(found: Judgement, books: Books) -> None:
    there = _events_of(books, "schedule")
    for types in there.values():
        # They are counted by what they say.
        types.pop(SKIPPED, None)
    should = Counter({"schedule.created": 1, "schedule.completed": 1})
    wrong = [(schedule, dict(there[schedule])) for schedule in books.made if there[schedule] != should]
    found.blame("schedules that were not told of once when made and once when over", wrong)
    found.blame("events of schedules that nobody made", there.keys() - books.made.keys())
    statuses = [(one, books.schedules.get(one)) for one in books.made]
    found.blame("schedules that are not over", [one for one in statuses if one[1] != "completed"])


def _look_at_skips(found: Judgement, books: Books) -> None:
    """Events say how many due times were skipped, by reason, and how many of them missed a deadline."""
    said: Counter[tuple[str, str]] = Counter()
    missed: Counter[str] = Counter()
    for event in _skips(books):
        after = event.after or {}
        for reason, number in after["reasons"].items():
            said[event.subject, reason] += number
        missed[event.subject] += after["missed"]
    skipped = [run for run in books.runs if run.status == "skipped"]
    there = Counter((run.schedule, str(run.reason)) for run in skipped)
    found.blame("skipped due times that no event tells of", (there - said).elements())
    found.blame("events of skipped due times that were not", (said - there).elements())
    late = Counter(run.schedule for run in skipped if run.reason == "too_late")
    wrong = [one for one in late.keys() | missed.keys() if late[one] != missed[one]]
    found.blame("schedules whose missed deadlines are told wrongly", wrong)


def _skips(books: Books) -> list[Event]:
    return [event for event in books.events if event.type == SKIPPED]


@dataclass(frozen=True, slots=True)
class _Told:
    """An event that its owner is told of: as what, and whether by mail as well."""

    event: Event
    kind: str
    mailed: bool
    owner: str


def _asked_for(books: Books) -> Iterable[_Told]:
    runs = {run.id: run for run in books.runs}
    for event in books.events:
        if event.type == SKIPPED and (event.after or {})["missed"]:
            planned = books.made.get(event.subject)
            mailed = bool(planned and "failed" in planned.body["notify"])
            yield _Told(event, MISSED, mailed, books.owner(event.subject))
        outcome = event.type.removeprefix("run.")
        run = runs.get(event.subject)
        if run and outcome in ("completed", "failed") and outcome in books.body(run).get("notify", ()):
            yield _Told(event, f"run_{outcome}", True, books.owner(run.schedule))


def _reminders(books: Books, *statuses: str) -> list[Run]:
    return [
        run for run in books.runs if run.action == REMINDER and run.attempt > 0 and run.status in statuses
    ]


def _look_at_notifications(found: Judgement, books: Books) -> None:
    there = Counter((one.key, one.type, one.who) for one in books.notifications)
    should = Counter((f"event:{told.event.id}", told.kind, told.owner) for told in _asked_for(books))
    should += Counter(_reminder_of(run, books) for run in _reminders(books, "completed"))
    # One that was replaced while it ran may have left its notification behind.
    may = Counter(_reminder_of(run, books) for run in _reminders(books, "cancelled"))
    found.blame("notifications that are missing", (should - there).elements())
    found.blame("notifications that nobody asked for", (there - should - may).elements())
    told_of = _events_of(books, "notification")
    ids = {one.id for one in books.notifications}
    wrong = [one for one in ids if told_of.get(one) != Counter({"notification.created": 1})]
    found.blame("notifications without their one event", wrong)
    found.blame("events of notifications that are not there", told_of.keys() - ids)
    found.count(notifications=len(books.notifications))


def _reminder_of(run: Run, books: Books) -> tuple[str, str, str]:
    return f"run:{run.id}:reminder", REMINDER, books.owner(run.schedule)


def _look_at_mails(found: Judgement, books: Books) -> None:
    """Each mail that is due has its row, and what each row says came of it did."""
    there = Counter((one.key, one.recipient) for one in books.mails if one.kind not in OF_ACCOUNTS)
    should = Counter((f"event:{told.event.id}", told.owner) for told in _asked_for(books) if told.mailed)
    should += Counter(_mail_of(run, books) for run in _reminders(books, "completed"))
    may = Counter(_mail_of(run, books) for run in _reminders(books, "cancelled"))
    found.blame("mails that are missing", (should - there).elements())
    found.blame("mails that nobody asked for", (there - should - may).elements())
    look_at_post(found, books)
    found.blame("mails that were sent not once by the ledger", not_once(books, "mail", books.mails))
    found.count(reminders=len(_reminders(books, "completed")))


def _mail_of(run: Run, books: Books) -> tuple[str, str]:
    address = books.body(run).get("params", {}).get("to", books.owner(run.schedule))
    return f"run:{run.id}:reminder:{address}", address


def look_at_post(found: Judgement, books: Books) -> None:
    """Each row of the outbox was sent and has come, and nothing has come without a row."""
    unsent = [(one.id, one.kind, one.status) for one in books.mails if one.status != "sent"]
    found.blame("mails that were not sent", unsent)
    came, rows = Counter(books.received), {(one.id, one.recipient) for one in books.mails}
    arrived = {(one.mail, one.recipient) for one in came}
    found.blame("mails that did not arrive", rows - arrived)
    found.blame("mails that arrived without a row", arrived - rows)
    again = sum(number - 1 for number in came.values())
    found.count(mails=len(books.mails), messages=sum(came.values()), messages_again=again)


def not_once(books: Books, kind: str, rows: Sequence[Mail] | Sequence[Run]) -> list[tuple[str, int]]:
    """Those of the rows of whose success there is not exactly one note."""
    noted = _successes(books, kind)
    return [(one.id, noted[one.id]) for one in rows if noted[one.id] != 1]


def _successes(books: Books, kind: str) -> Mapping[str, int]:
    return Counter(one.id for one in books.notes if (one.kind, one.what) == (kind, "succeeded"))


def _look_at_deliveries(found: Judgement, books: Books) -> None:
    """Each webhook was told of what its owner asked for, in its order, however often it was told."""
    should = _heard_by_owner(books)
    rows = Counter((one.who, one.message) for one in books.deliveries)
    noted = _successes(books, "delivery")
    wanted = {(owner, event) for owner, events in should.items() for event in events}
    found.blame("events without a delivery", wanted - rows.keys())
    found.blame("deliveries of what was not asked for", (rows - Counter(wanted)).elements())
    wrong = [
        (one.id, one.status, noted[one.id])
        for one in books.deliveries
        if not _is_done(one.status, noted[one.id])
    ]
    found.blame("deliveries that did not succeed once by the ledger", wrong)
    told = {(owner, event) for owner, events in books.told.items() for event in events}
    found.blame("events that the webhook was not told of", wanted - told)
    found.blame("events that never were", told - wanted)
    late = [one for owner, events in should.items() for one in _told_late(events, books.told.get(owner, ()))]
    found.blame("events that were told out of order", late)
    found.count(told=len(told), told_again=sum(map(len, books.told.values())) - len(told))


def _heard_by_owner(books: Books) -> Mapping[str, Sequence[str]]:
    """The events that each owner asked for, in their order."""
    runs, found = {run.id: run for run in books.runs}, defaultdict[str, list[str]](list)
    for event in books.events:
        if event.type in books.hears:
            run = runs.get(event.subject)
            found[books.owner(run.schedule if run else event.subject)].append(event.id)
    return found


def _told_late(should: Sequence[str], told: Sequence[str]) -> Iterator[str]:
    """Those before which one was told that comes after them."""
    known = {one: place for place, one in enumerate(should)}
    places = [known[one] for one in dict.fromkeys(told) if one in known]
    return (should[after] for before, after in pairwise(places) if after < before)


def _is_done(status: str, successes: int) -> bool:
    return status == "succeeded" and successes == 1
