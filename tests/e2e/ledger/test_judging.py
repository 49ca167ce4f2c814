"""The judge of due times finds each that has no run, two of them, or was never due."""

from dataclasses import replace

import pytest

from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.judging import compare_due_times
from tests.e2e.ledger.made_up import at, planned, run
from tests.e2e.ledger.verdicts import Run

pytestmark = pytest.mark.e2e
OTHERWISE = "runs that are due otherwise than asked for"


def compared(*runs: Run) -> Judgement:
    """What is said of the runs of a schedule that is due at 0 and at 10."""
    found = Judgement(list(runs), [])
    compare_due_times(found, {"tea": planned(0, 10)})
    return found


def test_one_run_for_each_due_time_is_right() -> None:
    found = compared(run("first"), run("second", due=10))
    assert found.wrong == {}
    assert (found.figures["lost"], found.figures["doubled"]) == (0, 0)


def test_a_due_time_without_a_run_is_lost() -> None:
    found = compared(run("first"))
    assert found.wrong.keys() == {"due times without a run"}
    assert found.figures["lost"] == 1


def test_a_due_time_with_two_runs_is_doubled() -> None:
    found = compared(run("first"), run("again"), run("second", due=10))
    assert found.wrong.keys() == {"due times with two runs"}
    assert found.figures["doubled"] == 1


def test_a_run_that_was_never_due_is_found() -> None:
    found = compared(run("first"), run("second", due=10), run("third", due=20))
    assert found.wrong.keys() == {"runs without a due time"}
    other = compared(run("first"), run("second", due=10), replace(run("other"), schedule="coffee"))
    assert other.wrong.keys() == {"runs without a due time"}


def test_a_run_that_is_due_too_early_or_later_than_its_jitter_is_found() -> None:
    schedules = {"tea": planned(0, jitter=3)}
    for seconds, wrong in ((0, set()), (3, set()), (4, {OTHERWISE}), (-1, {OTHERWISE})):
        found = Judgement([run("call", due_at=at(seconds))], [])
        compare_due_times(found, schedules)
        assert found.wrong.keys() == wrong


def test_what_was_due_before_a_schedule_was_there_is_not_owed() -> None:
    plan = planned(0, 10, 20)
    assert plan.from_(at(10)).due == {at(10), at(20)}
    assert plan.from_(at(-1)).due == plan.due


def test_the_runs_that_a_schedule_may_have_count_from_the_moment_when_it_was_made() -> None:
    plan = planned(0, 10, 20, 30, max_runs=2)
    assert plan.from_(at(-1)).due == {at(0), at(10)}
    assert plan.from_(at(5)).due == {at(10), at(20)}
