"""A verdict is allowed where the schedule asks for it and what it says was so, and nowhere else."""

from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.ledger.made_up import at, run
from tests.e2e.ledger.verdicts import Run, may_end_so

pytestmark = pytest.mark.e2e

SKIP = {"overlap": "skip", "catch_up": "all"}


def skipped(due: float, reason: str = "overlap", **more: Any) -> Run:
    usual: dict[str, Any] = {"status": "skipped", "reason": reason, "attempt": 0, "ended": 0}
    usual |= {"first_started_at": None, "started_at": None}
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


HOPELESS = {
    **SKIP,
    "params": {"url": "http://127.0.0.1:1/never"},
    "retry": {"max_attempts": 2},
    "start_deadline": 5,
}


def failed(attempts: int = 2, code: str = "http_503", **more: Any) -> Run:
    return run("call", status="failed", attempt=attempts, error={"code": code, "message": "No."}, **more)


def test_nothing_may_fail_but_what_is_refused_each_time() -> None:
    assert may_end_so(failed(), HOPELESS, [])
    for path in ("at-once", "moody", "slow/1.5"):
        other = {**HOPELESS, "params": {"url": f"http://127.0.0.1:1/{path}"}}
        assert not may_end_so(failed(), other, [])
    assert not may_end_so(failed(), SKIP, [])
    assert not may_end_so(failed(code="worker_lost"), HOPELESS, [])
    assert not may_end_so(failed(reason="manual"), HOPELESS, [])


def test_what_is_refused_each_time_may_not_succeed_and_may_be_left_out_before_it_began() -> None:
    assert not may_end_so(run("call", attempt=2), HOPELESS, [])
    given_up = skipped(0, "too_late", ended=5, first_started_at=None)
    assert may_end_so(given_up, HOPELESS, [])
    assert not may_end_so(replace(given_up, first_started_at=at(1)), HOPELESS, [])


def test_what_failed_has_used_up_its_attempts_but_for_those_that_were_lost() -> None:
    for attempts, lost, is_right in (
        *((1, 0, False), (2, 0, True), (3, 0, False)),
        *((2, 1, False), (3, 1, True), (4, 2, True), (4, 1, False)),
    ):
        assert may_end_so(failed(attempts, lost_attempts=lost), HOPELESS, []) is is_right


def test_what_succeeds_does_so_within_its_attempts() -> None:
    body = {**SKIP, "retry": {"max_attempts": 2}}
    assert may_end_so(run("call", attempt=3, lost_attempts=1), body, [])
    assert not may_end_so(run("call", attempt=3), body, [])


def test_what_fails_keeps_its_turn_and_its_deadline_as_what_succeeds() -> None:
    assert not may_end_so(failed(ended=20), HOPELESS, [run("other", due=10)])
    assert not may_end_so(failed(first_started_at=at(6), ended=9), HOPELESS, [])


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


def missed(due: float, **more: Any) -> Run:
    """One that nobody saw for longer than a minute."""
    return run(f"missed at {due:g}", due=due, created_at=at(100), ended=110 - due, trigger="catch_up", **more)


def left_out(due: float, reason: str = "catch_up") -> Run:
    done = missed(due, first_started_at=None)
    return replace(done, status="skipped", reason=reason, attempt=0, finished_at=at(100))


def test_what_was_missed_is_left_out_only_where_a_later_one_is_made_up_for() -> None:
    body = {**SKIP, "catch_up": "latest"}
    early, late, in_time = left_out(0), missed(20), run("in time", due=90)
    for later, is_right in (
        ([late, in_time], True),
        ([left_out(10), late], True),
        # It met another, and was made up for by that.
        ([left_out(20, "overlap")], True),
        ([replace(missed(20), status="cancelled", reason="overlap", finished_at=at(100))], True),
        # Never begun, in the end.
        ([replace(missed(20), status="skipped", reason="too_late", finished_at=at(105))], True),
        ([], False),
        ([left_out(20)], False),
        ([left_out(20), in_time], False),
        ([left_out(20, "too_late")], False),
        ([in_time], False),
        ([replace(late, created_at=at(99))], False),
    ):
        assert may_end_so(early, body, [early, *later]) is is_right, later


def test_nothing_is_left_out_where_all_is_made_up_for_and_nothing_made_up_for_where_none_is() -> None:
    early, late = left_out(0), missed(20)
    assert not may_end_so(early, {**SKIP, "catch_up": "all"}, [early, late])
    assert may_end_so(early, {**SKIP, "catch_up": "skip"}, [early, left_out(20)])
