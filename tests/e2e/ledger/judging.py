"""The ledger beside the oracle: what is lost, doubled, invented, unfinished, or not what was promised."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from http import HTTPStatus
from typing import Any

from tests.e2e.ledger.faults import Fault, Troublemaker
from tests.e2e.ledger.ground import Ground
from tests.e2e.ledger.plans import Planned
from tests.e2e.ledger.receiver import Call
from tests.e2e.ledger.verdicts import Run, may_end_so

RUNS = """
    SELECT id::text AS id, schedule_id::text AS schedule, scheduled_for, due_at, status, reason, trigger,
        action, attempt, lost_attempts, created_at, queued_at, first_started_at, started_at, finished_at,
        error
    FROM runs
"""
ENDINGS = """
    SELECT subject_id::text AS run, string_agg(type, ', ') AS types FROM events
    WHERE subject_type = 'run' AND type IN ('run.completed', 'run.failed', 'run.cancelled') GROUP BY 1
"""
TOLD_OF = "SELECT id::text AS id FROM events WHERE type = 'schedule.created'"
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


@dataclass
class Judgement:
    """What was found.

    Attributes:
        wrong: what must not be, by what it is; empty if all is well.
        figures: what is worth telling.
    """

    runs: list[Run]
    faults: list[Fault]
    wrong: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def blame(self, what: str, found: Iterable[object]) -> None:
        if shown := [str(one) for one in found]:
            self.wrong[what] = shown

    def count(self, **figures: float) -> None:
        self.figures.update(figures)


def judge(ground: Ground, made: Mapping[str, Planned], maker: Troublemaker) -> Judgement:
    """Compare everything that is written down with everything that should be."""
    runs = [Run(*row) for row in ground.database.ask(RUNS)]
    found = Judgement(runs, maker.faults)
    found.count(schedules=len(made), due=sum(len(plan.due) for plan in made.values()), runs=len(runs))
    _compare_due_times(found, made)
    _look_at_verdicts(found, made)
    _look_at_effects(found, ground)
    _look_at_mails(found, ground, made)
    _look_at_what_was_told(found, ground)
    _look_at_delays(found, maker)
    found.blame("processes that ended by themselves", maker.ended)
    miscounted = ground.database.ask(MISCOUNTED)[0][0]
    found.blame("schedules whose counts are wrong", [miscounted] if miscounted else [])
    return found


def _compare_due_times(found: Judgement, made: Mapping[str, Planned]) -> None:
    should = {(schedule, at) for schedule, plan in made.items() for at in plan.due}
    there = Counter((run.schedule, run.scheduled_for.astimezone(UTC)) for run in found.runs)
    found.blame("due times without a run", sorted(should - there.keys()))
    found.blame("runs without a due time", sorted(there.keys() - should))
    found.blame("due times with two runs", [at for at, number in there.items() if number > 1])
    found.count(lost=len(should - there.keys()), doubled=sum(number > 1 for number in there.values()))


def _look_at_verdicts(found: Judgement, made: Mapping[str, Planned]) -> None:
    """Each due time has a verdict that its schedule allows for."""
    beside = defaultdict(list)
    for run in found.runs:
        beside[run.schedule].append(run)
    found.blame(
        "verdicts that the schedule does not allow",
        [
            (run.id, run.status, run.reason, run.error)
            for run in found.runs
            if run.schedule in made and not may_end_so(run, made[run.schedule].body, beside[run.schedule])
        ],
    )
    found.blame("runs that began early", [run.id for run in found.runs if (run.began_after or 0) < 0])
    for status, number in Counter(run.status for run in found.runs).items():
        found.count(**{status: number})
    found.count(attempts=sum(run.attempt for run in found.runs))
    found.count(lost_attempts=sum(run.lost_attempts for run in found.runs))


def _look_at_effects(found: Judgement, ground: Ground) -> None:
    """Who was called, and how often the ledger calls it a success."""
    endings = {row[0]: row[1] for row in ground.database.ask(ENDINGS)}
    found.blame("runs that ended twice", [row for row in endings.items() if ", " in row[1]])
    completed = {run.id for run in found.runs if run.status == "completed"}
    told = {run_id for run_id, type_ in endings.items() if type_ == "run.completed"}
    found.blame("successes without an event", completed - told)
    found.blame("events of successes that are none", told - completed)
    calls = ground.receiver.calls
    answered = {key for key, each in calls.items() if any(call.status == 204 for call in each)}
    of_webhooks = {run.id for run in found.runs if run.status == "completed" and run.action == "webhook"}
    found.blame("successes that nobody was called for", of_webhooks - answered)
    may_call = {run.id for run in found.runs if run.attempt > 0}
    found.blame("calls of runs that were never begun", calls.keys() - may_call)
    found.blame("runs that were done more often than attempted", _done_too_often(found.runs, calls))
    again = sum(sum(call.status == 204 for call in each) > 1 for each in calls.values())
    found.count(calls=sum(map(len, calls.values())), keys=len(calls), answered_again=again)


def _done_too_often(runs: Sequence[Run], calls: Mapping[str, Sequence[Call]]) -> Iterator[tuple[str, int]]:
    """Each attempt calls once, and only one that was lost, or ended otherwise, has a successor."""
    for run in runs:
        each = calls.get(run.id, ())
        answered = sum(call.status == HTTPStatus.NO_CONTENT for call in each)
        if len(each) > run.attempt or answered > 1 + run.lost_attempts:
            yield run.id, len(each)


def _look_at_mails(found: Judgement, ground: Ground, made: Mapping[str, Planned]) -> None:
    """Each reminder was mailed under one Message-ID, however often it was sent."""
    sent = Counter(message["To"] for message in _different(ground.mail.messages))
    wanted = Counter(
        made[run.schedule].body["params"]["to"]
        for run in found.runs
        if run.action == "reminder" and run.status == "completed" and run.schedule in made
    )
    # A run that was replaced while it ran may have left its mail behind.
    replaced = Counter(
        made[run.schedule].body["params"]["to"]
        for run in found.runs
        if run.action == "reminder" and run.status == "cancelled" and run.attempt and run.schedule in made
    )
    reminders = {name: number for name, number in sent.items() if name.startswith("plan-")}
    found.blame("reminders without a mail", (wanted - Counter(reminders)).elements())
    found.blame("mails without a reminder", (Counter(reminders) - wanted - replaced).elements())
    found.count(mails=len(ground.mail.messages), reminders=sum(wanted.values()))


def _different(messages: Sequence[Any]) -> list[Any]:
    return list({message["Message-ID"]: message for message in messages}.values())


def _look_at_what_was_told(found: Judgement, ground: Ground) -> None:
    """A webhook was told of each schedule that was made."""
    should = {str(row[0]) for row in ground.database.ask(TOLD_OF)}
    found.blame("events that the webhook was not told of", should - ground.receiver.told.keys())
    found.blame("events that never were", ground.receiver.told.keys() - should)
    found.count(told=len(should))


def _look_at_delays(found: Judgement, maker: Troublemaker) -> None:
    begun = sorted(run.began_after for run in found.runs if run.began_after is not None)
    found.count(
        began_p50=statistics.median(begun), began_p99=begun[int(len(begun) * 0.99)], began_last=begun[-1]
    )
    later = {run.id: run for run in found.runs}
    # One that was lost again in between is counted from there.
    gaps = [
        run.started_at.timestamp() - orphan.at
        for orphan in maker.orphans
        if (run := later.get(orphan.run_id)) and run.started_at and run.attempt == orphan.attempt + 1
    ]
    found.count(orphans=len(maker.orphans), taken_up=len(gaps), taken_up_last=max(gaps, default=0.0))
    alone = [run.made_after for run in found.runs if _only_a_scheduler_was_killed(run, maker.faults)]
    found.count(beside_a_killed_scheduler=len(alone), made_late=max(alone, default=0.0))


def _only_a_scheduler_was_killed(run: Run, faults: Sequence[Fault]) -> bool:
    """Whether that is all that was wrong while it should have been made."""
    due = run.due_at.timestamp()
    near = [one for one in faults if one.began - 1 < due + 3 and due < one.ended + 6 and _is_felt(one)]
    return len(near) == 1 and near[0].kind == "scheduler killed" and near[0].began - 1 < due < near[0].ended


def _is_felt(fault: Fault) -> bool:
    """By who makes runs."""
    return fault.kind.startswith(("scheduler", "PostgreSQL", "connections", "Redis"))
