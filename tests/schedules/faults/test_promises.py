"""The judge of the state machine finds what it is there for, in rows that nobody has made."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.models import Run
from tests.schedules.faults.plans import Plan, Policy
from tests.schedules.faults.promises import Promise
from tests.schedules.making import at

NINE = at("2026-11-20 09:00")
# Once a minute, at nine for the first time.
MINUTES = 5


def minute(number: float) -> datetime:
    return NINE + timedelta(minutes=number)


def promise(
    *, overlap: str = "allow", catch_up: str = "all", start_deadline: int | None = None, due: int = MINUTES
) -> Promise:
    policy = Policy(overlap, catch_up, start_deadline)
    made = minute(-1)
    plan = Plan("every", 60, NINE, minute(due), "UTC", None)
    return Promise(uuid4(), [(made, plan)], [(made, policy)])


def run(number: int, *, made: float | None = None, at_work: tuple[float, float] | None, **fields: Any) -> Run:
    """Of a due time, in minutes: when it was made, and from when to when a worker had it."""
    created_at = minute(number if made is None else made)
    begun, ended = (None, created_at) if at_work is None else map(minute, at_work)
    known = {"trigger": "schedule", "status": "skipped" if at_work is None else "completed", **fields}
    return Run(
        id=uuid4(),
        scheduled_for=minute(number),
        due_at=minute(number),
        created_at=created_at,
        first_started_at=begun,
        finished_at=ended,
        **known,
    )


def is_kept(kept: Promise, *runs: Run, backfills: tuple[Backfill, ...] = ()) -> bool:
    try:
        kept.check(runs, backfills)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_two_due_times_are_not_at_work_at_once(overlap: str) -> None:
    kept = promise(overlap=overlap, due=2)
    assert is_kept(kept, run(0, at_work=(0, 1)), run(1, at_work=(1, 2)))
    assert not is_kept(kept, run(0, at_work=(0, 1.5)), run(1, at_work=(1, 2)))


def test_an_attempt_that_was_lost_stands_in_the_way_until_its_run_has_ended() -> None:
    """What counts is from the begin of the first attempt to the end of the last."""
    kept = promise(overlap="queue", due=2)
    lost = run(0, at_work=(0, 3), attempt=2, lost_attempts=1)
    assert not is_kept(kept, lost, run(1, at_work=(1.5, 2)))
    assert is_kept(kept, lost, run(1, at_work=(3, 4)))


def test_those_that_may_overlap_do() -> None:
    assert is_kept(promise(due=2), run(0, at_work=(0, 1.5)), run(1, at_work=(1, 2)))


def test_those_that_might_overlap_at_some_time_between_do() -> None:
    kept = promise(overlap="queue", due=2)
    kept.policies.append((minute(1.2), Policy("allow", "all", None)))
    assert is_kept(kept, run(0, at_work=(0, 1.5)), run(1, at_work=(1.2, 2)))
    assert not is_kept(kept, run(0, at_work=(0, 1.5)), run(1, at_work=(1.1, 2)))


def test_a_backfill_goes_one_by_one_and_beside_the_due_times() -> None:
    kept = promise(overlap="queue", due=3)
    backfill = Backfill(
        id=uuid4(), status="completed", created_at=minute(3), from_at=minute(0), to_at=minute(2)
    )
    kept.backfills[backfill.id] = [minute(0), minute(1)]
    back: dict[str, Any] = {"backfill_id": backfill.id, "trigger": "catch_up"}
    beside = run(2, at_work=(2, 9))
    one_by_one = [run(0, at_work=(3, 4), **back), run(1, at_work=(4, 5), **back)]
    assert is_kept(kept, *one_by_one, beside, backfills=(backfill,))
    at_once = [run(0, at_work=(3, 4), **back), run(1, at_work=(3, 5), **back)]
    assert not is_kept(kept, *at_once, beside, backfills=(backfill,))


def test_none_begins_after_its_start_deadline() -> None:
    kept = promise(start_deadline=30, due=1)
    assert is_kept(kept, run(0, at_work=(0.5, 9)))
    assert not is_kept(kept, run(0, at_work=(0.6, 9)))


def made_up_for(*numbers: int) -> list[Run]:
    """Three due times that were missed, of which these were done."""
    return [
        run(
            number,
            made=5,
            at_work=(5 + number, 6 + number) if number in numbers else None,
            trigger="catch_up",
            reason=None if number in numbers else "catch_up",
        )
        for number in range(3)
    ]


@pytest.mark.parametrize(
    ("catch_up", "done", "is_right"),
    [
        ("all", (0, 1, 2), True),
        ("latest", (2,), True),
        ("latest", (1, 2), False),
        ("latest", (1,), False),
        ("latest", (), False),
        ("skip", (), True),
        ("skip", (2,), False),
    ],
)
def test_of_what_was_missed_as_much_is_done_as_was_asked_for(
    catch_up: str, done: tuple[int, ...], is_right: bool
) -> None:
    assert is_kept(promise(catch_up=catch_up, due=3), *made_up_for(*done)) is is_right


def test_the_latest_of_what_was_missed_may_meet_another_run() -> None:
    kept = promise(catch_up="latest", overlap="skip", due=3)
    *left_out, latest = made_up_for()
    latest.reason = "overlap"
    assert is_kept(kept, *left_out, latest)
    left_out[-1].reason = "overlap"
    assert not is_kept(kept, *left_out, latest)


def test_nobody_knows_why_was_left_out_what_a_backfill_does_after_all() -> None:
    backfill = Backfill(
        id=uuid4(), status="completed", created_at=minute(6), from_at=minute(2), to_at=minute(3)
    )
    kept = promise(catch_up="latest", due=3)
    kept.backfills[backfill.id] = [minute(2)]
    *left_out, latest = made_up_for(2)
    latest.backfill_id = backfill.id
    assert is_kept(kept, *left_out, latest, backfills=(backfill,))


def paused(*, judged: bool) -> Promise:
    """From before the first due time until after the last."""
    kept = promise(catch_up="latest", due=3)
    kept.pauses.append((minute(-1), minute(5)))
    if judged:
        kept.judged_pauses.append((minute(-1), minute(5)))
    return kept


def test_a_pause_is_made_up_for_unless_a_change_judged_it_before_its_end() -> None:
    runs = made_up_for()
    for run_of_pause in runs:
        run_of_pause.reason = "paused"
    assert not is_kept(paused(judged=False), *runs)
    assert is_kept(paused(judged=True), *runs)


def test_what_was_missed_and_ended_before_it_began_counts_too() -> None:
    """It was let come, though somebody cancelled it."""
    kept = promise(catch_up="skip", due=1)
    cancelled = run(0, made=5, at_work=None, trigger="catch_up", status="cancelled", reason="manual")
    kept.stopped[cancelled.id] = True
    assert not is_kept(kept, cancelled)


def test_a_due_time_without_a_run_is_lost() -> None:
    assert not is_kept(promise(due=2), run(0, at_work=(0, 1)))
