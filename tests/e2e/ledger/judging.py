"""The ledger beside the oracle: what is lost, doubled, invented, unfinished, or not what was promised."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from email.message import EmailMessage
from http import HTTPStatus

from tests.e2e.ledger import books as read
from tests.e2e.ledger.around import hurt_around
from tests.e2e.ledger.books import Books, Delivery, Event, Mail, Notification, Received
from tests.e2e.ledger.delays import look_at_delays
from tests.e2e.ledger.faults import Troublemaker
from tests.e2e.ledger.ground import Ground
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.logs import unexplained_by, warned_of
from tests.e2e.ledger.plans import Planned
from tests.e2e.ledger.pulse import Stall
from tests.e2e.ledger.receiver import Call
from tests.e2e.ledger.telling import look_at_telling, not_once
from tests.e2e.ledger.verdicts import Run, attempts_of, may_end_so
from tests.e2e.ledger.witness import Heard, notes

MISCOUNTED = """
    SELECT count(*) FROM run_counts AS kept LEFT JOIN (
        SELECT schedule_id, count(*) FILTER (WHERE status = 'completed') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE status = 'skipped') AS skipped FROM runs GROUP BY 1
    ) AS found USING (schedule_id)
    WHERE (kept.completed, kept.failed, kept.cancelled, kept.skipped)
        IS DISTINCT FROM (found.completed, found.failed, found.cancelled, found.skipped)
"""


def judge(
    ground: Ground,
    made: Mapping[str, Planned],
    maker: Troublemaker,
    *,
    hears: Sequence[str],
    heard: Heard,
    stalls: Sequence[Stall],
) -> Judgement:
    """Compare everything that is written down with everything that should be."""
    born = {row[0]: row[2] for row in ground.database.ask(read.SCHEDULES)}
    made = {one: plan.from_(born[one]) if one in born else plan for one, plan in made.items()}
    books = replace(_read(ground, made), hears=hears, pushed=heard.pushed, queues=heard.queues, stalls=stalls)
    found = Judgement(list(books.runs), maker.faults)
    found.count(
        owners=len({plan.owner for plan in made.values()}),
        schedules=len(made),
        due=sum(len(plan.due) for plan in made.values()),
        runs=len(books.runs),
    )
    compare_due_times(found, made)
    _look_at_verdicts(found, made)
    look_at_effects(found, books)
    look_at_telling(found, books)
    look_at_delays(found, books)
    found.blame("processes that ended by themselves", maker.ended)
    logged = ground.installation.log_text()
    found.count(warnings=len(warned_of(logged)))
    found.blame("errors that no fault explains", unexplained_by(logged, hurt_around(maker.faults)))
    miscounted = ground.database.ask(MISCOUNTED)[0][0]
    found.blame("schedules whose counts are wrong", [miscounted] if miscounted else [])
    return found


def _read(ground: Ground, made: Mapping[str, Planned]) -> Books:
    ask = ground.database.ask
    return Books(
        made=made,
        runs=[Run(*row) for row in ask(read.RUNS)],
        schedules={row[0]: row[1] for row in ask(read.SCHEDULES)},
        events=[Event(*row) for row in ask(read.EVENTS)],
        notifications=[Notification(*row) for row in ask(read.NOTIFICATIONS)],
        mails=[Mail(*row) for row in ask(read.MAILS)],
        deliveries=[Delivery(*row) for row in ask(read.DELIVERIES)],
        notes=notes(ground.database),
        calls=ground.receiver.calls,
        received=[received(message) for message in ground.mail.messages],
        told=ground.receiver.told,
    )


def received(message: EmailMessage) -> Received:
    """Whose row a message came from: its Message-ID begins with that."""
    return Received(str(message["Message-ID"]).strip("<>").partition("@")[0], str(message["To"]))


def compare_due_times(found: Judgement, made: Mapping[str, Planned]) -> None:
    should = {(schedule, at) for schedule, plan in made.items() for at in plan.due}
    there = Counter((run.schedule, run.scheduled_for.astimezone(UTC)) for run in found.runs)
    found.blame("due times without a run", sorted(should - there.keys()))
    found.blame("runs without a due time", sorted(there.keys() - should))
    found.blame("due times with two runs", [at for at, number in there.items() if number > 1])
    late = [
        run.id for run in found.runs if run.schedule in made and not _is_due_as_asked(run, made[run.schedule])
    ]
    found.blame("runs that are due otherwise than asked for", late)
    found.count(lost=len(should - there.keys()), doubled=sum(number > 1 for number in there.values()))


def _look_at_verdicts(found: Judgement, made: Mapping[str, Planned]) -> None:
    """Each due time has a verdict that its schedule allows for."""
    beside = defaultdict(list)
    for run in found.runs:
        beside[run.schedule].append(run)
    strange = [
        run
        for run in found.runs
        if run.schedule in made and not may_end_so(run, made[run.schedule].body, beside[run.schedule])
    ]
    # What was beside it tells why.
    told = [(_in_short(run), [_in_short(other) for other in beside[run.schedule]]) for run in strange]
    found.blame("verdicts that the schedule does not allow", told)
    found.blame("runs that began early", [run.id for run in found.runs if (run.began_after or 0) < 0])
    for status, number in Counter(run.status for run in found.runs).items():
        found.count(**{status: number})
    for (status, reason), number in Counter((run.status, run.reason) for run in found.runs).items():
        if reason:
            found.count(**{f"{status}_{reason}": number})
    found.count(attempts=sum(run.attempt for run in found.runs))


def _is_due_as_asked(run: Run, planned: Planned) -> bool:
    """At its time, or later by its share of the jitter."""
    jitter = timedelta(seconds=planned.body.get("jitter", 0))
    return run.scheduled_for <= run.due_at <= run.scheduled_for + jitter


def _in_short(run: Run) -> str:
    ended = run.finished_at and run.finished_at.time()
    return f"{run.id} {run.status} {run.reason} {run.error} from {run.created_at.time()} to {ended}"


def look_at_effects(found: Judgement, books: Books) -> None:
    """Who was called, and how often the ledger calls it a success."""
    completed = [run for run in books.runs if run.status == "completed"]
    found.blame("successes that are noted not once", not_once(books, "run", completed))
    others = {note.id for note in books.notes if (note.kind, note.what) == ("run", "succeeded")}
    found.blame("successes that were taken back", others - {run.id for run in completed})
    calls = books.calls
    answered = {key for key, each in calls.items() if any(_is_answered(call) for call in each)}
    of_webhooks = {run.id for run in completed if run.action == "webhook"}
    found.blame("successes that nobody was called for", of_webhooks - answered)
    may_call = {run.id for run in books.runs if run.attempt > 0}
    found.blame("calls of runs that were never begun", calls.keys() - may_call)
    found.blame("runs that were done more often than attempted", _done_too_often(books))
    found.blame("failures that were not refused as often as allowed", _refused_otherwise(books))
    again = sum(sum(map(_is_answered, each)) > 1 for each in calls.values())
    found.count(calls=sum(map(len, calls.values())), keys=len(calls), answered_again=again)


def _is_answered(call: Call) -> bool:
    return call.status == HTTPStatus.NO_CONTENT


def _refused_otherwise(books: Books) -> Iterator[str]:
    """Each attempt that failed is noted, and was refused; of those that were lost nobody knows."""
    attempts = {
        what: {(note.id, note.attempt) for note in books.notes if (note.kind, note.what) == ("run", what)}
        for what in ("failed", "lost")
    }
    # One that is lost goes back in two steps, the second of which looks like a failure.
    noted = Counter(run_id for run_id, _ in attempts["failed"] - attempts["lost"])
    for run in books.runs:
        if run.status == "failed":
            allowed, calls = attempts_of(books.body(run)), books.calls.get(run.id, ())
            refused = sum(call.status == HTTPStatus.SERVICE_UNAVAILABLE for call in calls)
            if noted[run.id] != allowed or not allowed <= refused <= run.attempt:
                yield f"{_in_short(run)} allowed {allowed}, noted {noted[run.id]}, refused {refused}"


def _done_too_often(books: Books) -> Iterator[str]:
    """Each attempt calls once, and only one that was lost, or failed, has a successor."""
    for run in books.runs:
        each = books.calls.get(run.id, ())
        answered = sum(map(_is_answered, each))
        if len(each) > run.attempt or answered > 1 + run.lost_attempts:
            told = [
                (note.what, note.attempt, note.who, note.at.time())
                for note in books.notes
                if note.id == run.id
            ]
            yield f"{_in_short(run)} attempts {run.attempt}, lost {run.lost_attempts}: {each} {told}"
