"""A verdict is allowed where the schedule asks for it and what it says was so, and nowhere else."""

from typing import Any

import pytest

from tests.e2e.ledger.made_up import run
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


def test_only_what_has_a_deadline_may_be_too_late_and_only_after_it() -> None:
    body = {**SKIP, "start_deadline": 5}
    assert may_end_so(skipped(0, "too_late", ended=5), body, [])
    assert not may_end_so(skipped(0, "too_late", ended=4), body, [])
    assert not may_end_so(skipped(0, "too_late", ended=5), SKIP, [])


def test_nothing_may_fail() -> None:
    assert not may_end_so(run("call", status="failed"), SKIP, [])
