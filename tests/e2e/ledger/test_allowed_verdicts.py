"""A verdict is allowed where the schedule asks for it and what it says was so, and nowhere else."""

from typing import Any

import pytest

from tests.e2e.ledger.made_up import at, run
from tests.e2e.ledger.verdicts import Run, may_end_so

pytestmark = pytest.mark.e2e

SKIP = {"overlap": "skip", "catch_up": "all"}


def skipped(due: float, reason: str = "overlap", **more: Any) -> Run:
    usual: dict[str, Any] = {"status": "skipped", "reason": reason, "attempt": 0, "ended": 0}
    return run(f"skipped at {due:g}", due=due, **usual | more)


def test_what_overlaps_may_be_skipped_while_another_is_open() -> None:
    late = skipped(10)
    assert may_end_so(late, SKIP, [run("open", ended=20), late])
    assert not may_end_so(late, SKIP, [run("over", ended=1), late])
    assert not may_end_so(late, SKIP, [late, skipped(9)])
    assert not may_end_so(late, {**SKIP, "overlap": "allow"}, [run("open", ended=20), late])


def test_one_that_was_not_begun_in_time_was_open_until_then() -> None:
    never_begun, late = skipped(0, "too_late", ended=12), skipped(10)
    assert may_end_so(late, SKIP, [never_begun, late])
    assert not may_end_so(skipped(20), SKIP, [never_begun, late])


def test_only_what_comes_later_and_meets_it_replaces_another() -> None:
    body = {**SKIP, "overlap": "replace"}
    given_up = run("given up", ended=5, status="cancelled", reason="overlap")
    assert may_end_so(given_up, body, [given_up, run("later", due=4)])
    assert not may_end_so(given_up, body, [given_up, run("long after", due=6)])
    assert not may_end_so(given_up, body, [given_up, run("earlier", due=-1, created_at=at(1))])
    assert not may_end_so(given_up, body, [given_up, run("made before", due=4, created_at=at(-1))])
    assert not may_end_so(given_up, SKIP, [given_up, run("later", due=4)])


def test_a_deadline_counts_from_when_jitter_lets_it_be_due() -> None:
    body = {**SKIP, "start_deadline": 5, "jitter": 3}
    assert may_end_so(skipped(0, "too_late", due_at=at(2), ended=7), body, [])
    assert not may_end_so(skipped(0, "too_late", due_at=at(2), ended=6), body, [])


def test_only_what_has_a_deadline_may_be_too_late_and_only_after_it() -> None:
    body = {**SKIP, "start_deadline": 5}
    assert may_end_so(skipped(0, "too_late", ended=5), body, [])
    assert not may_end_so(skipped(0, "too_late", ended=4), body, [])
    assert not may_end_so(skipped(0, "too_late", ended=5), SKIP, [])


def test_nothing_may_fail() -> None:
    assert not may_end_so(run("call", status="failed"), SKIP, [])


def test_two_may_be_at_work_only_where_they_may_overlap() -> None:
    first, second = run("first", ended=20), run("second", due=10)
    for overlap in ("skip", "queue", "replace"):
        assert not may_end_so(second, {**SKIP, "overlap": overlap}, [first, second])
        assert not may_end_so(first, {**SKIP, "overlap": overlap}, [first, second])
        assert may_end_so(second, {**SKIP, "overlap": overlap}, [run("first", ended=10), second])
    assert may_end_so(second, {**SKIP, "overlap": "allow"}, [first, second])


def test_nothing_may_begin_after_its_deadline() -> None:
    body = {**SKIP, "start_deadline": 5}
    assert may_end_so(run("call", first_started_at=at(5), ended=9), body, [])
    assert not may_end_so(run("call", first_started_at=at(5.1), ended=9), body, [])


def test_what_was_missed_is_done_only_if_it_is_to_be_made_up_for() -> None:
    early, late = (run(f"due at {due}", due=due, created_at=at(100)) for due in (0, 20))
    for done, policy, is_right in (
        *((one, "all", True) for one in (early, late)),
        *((one, "skip", False) for one in (early, late)),
        *((early, "latest", False), (late, "latest", True)),
    ):
        assert may_end_so(done, {**SKIP, "overlap": "allow", "catch_up": policy}, [early, late]) is is_right
