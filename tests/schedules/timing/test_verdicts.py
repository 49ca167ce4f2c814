"""What becomes of each due time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from taskapi.schedules.timing import verdicts as verdicts_module
from taskapi.schedules.timing.triggers import Trigger, due_times
from taskapi.schedules.timing.verdicts import MAX_DUE_TIMES
from taskapi.schedules.timing.wall import Due
from tests.schedules.making import at
from tests.schedules.timing.judging import HOURLY, NOON, reasons, verdicts, words


def test_a_due_time_on_time_runs_and_the_mark_moves_to_the_next() -> None:
    planned = verdicts(mark=NOON, now=NOON + timedelta(seconds=60))
    assert words(planned) == ["12: schedule"]
    assert planned.next_run_at == at("2026-11-20 13:00")


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("skip", ["10: skipped by catch_up", "11: skipped by catch_up", "12: schedule"]),
        ("latest", ["10: skipped by catch_up", "11: catch_up", "12: schedule"]),
        ("all", ["10: catch_up", "11: catch_up", "12: schedule"]),
    ],
)
def test_after_downtime_every_due_time_gets_a_verdict(catch_up: str, expected: list[str]) -> None:
    planned = verdicts(mark=at("2026-11-20 10:00"), now=NOON + timedelta(seconds=5), catch_up=catch_up)
    assert words(planned) == expected


def test_missed_ones_outside_the_window_are_too_late() -> None:
    planned = verdicts(
        mark=at("2026-11-20 08:00"), now=at("2026-11-20 11:30"), catch_up="all", window=timedelta(hours=2)
    )
    assert words(planned) == [
        "08: skipped by too_late",
        "09: skipped by too_late",
        "10: catch_up",
        "11: catch_up",
    ]


def test_beyond_the_limit_only_the_newest_missed_ones_run() -> None:
    planned = verdicts(mark=at("2026-11-20 07:00"), now=at("2026-11-20 11:30"), catch_up="all", limit=2)
    assert reasons(planned) == ["catch_up_limit"] * 3 + [None, None]


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [("skip", ["paused", "paused", None]), ("latest", ["paused", None, None]), ("all", [None, None, None])],
)
def test_due_times_of_a_pause_get_catch_up_even_when_just_past(
    catch_up: str, expected: list[str | None]
) -> None:
    pause = (at("2026-11-20 09:30"), at("2026-11-20 11:00") + timedelta(seconds=10))
    planned = verdicts(
        mark=at("2026-11-20 10:00"), now=at("2026-11-20 12:00"), catch_up=catch_up, pause=pause
    )
    assert reasons(planned) == expected


def test_overlap_skip_lets_one_run_be_open() -> None:
    planned = verdicts(
        mark=at("2026-11-20 10:00"), now=at("2026-11-20 11:30"), catch_up="all", overlap="skip"
    )
    assert reasons(planned) == [None, "overlap"]
    planned = verdicts(mark=NOON, now=NOON, overlap="skip", has_open_run=True)
    assert reasons(planned) == ["overlap"]


def test_after_the_last_allowed_run_nothing_is_due() -> None:
    planned = verdicts(mark=at("2026-11-20 09:00"), now=at("2026-11-20 11:30"), catch_up="all", runs_left=2)
    assert len(planned.verdicts) == 2
    assert planned.next_run_at is None


def test_a_round_is_bounded_and_the_mark_moves_with_it() -> None:
    each_second = Trigger(every=1.0, starts_at=at("2026-11-20 00:00"))
    planned = verdicts(trigger=each_second, mark=at("2026-11-20 10:00"), now=NOON, catch_up="all", limit=9000)
    assert len(planned.verdicts) == MAX_DUE_TIMES
    assert planned.next_run_at == at("2026-11-20 10:00") + timedelta(seconds=MAX_DUE_TIMES)


def test_rounds_give_the_same_verdicts_as_one_would() -> None:
    each_second = Trigger(every=1.0, starts_at=at("2026-11-20 00:00"))
    mark: datetime | None = at("2026-11-20 11:00")
    ran = []
    while mark is not None and mark <= NOON:
        planned = verdicts(trigger=each_second, mark=mark, now=NOON, catch_up="all", limit=100)
        ran += [verdict.at for verdict in planned.verdicts if verdict.outcome == "run"]
        mark = planned.next_run_at
    assert ran[0] == NOON - timedelta(seconds=160)
    assert len(ran) == 100 + 61


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Every due time that was computed."""
    seen = []

    def counting(trigger: Trigger, *, after: datetime) -> Iterator[Due]:
        for due in due_times(trigger, after=after):
            seen.append(due.at)
            yield due

    monkeypatch.setattr(verdicts_module, "due_times", counting)
    return seen


def test_one_due_time_costs_no_more_than_a_look_at_the_next(walked: list[datetime]) -> None:
    verdicts(mark=NOON, now=NOON)
    assert walked == [NOON, at("2026-11-20 13:00")]


def test_the_newest_of_a_long_interval_are_found_without_walking_it(walked: list[datetime]) -> None:
    each_second = Trigger(every=1.0, starts_at=at("2026-01-01 00:00"))
    planned = verdicts(
        trigger=each_second, mark=at("2026-02-01 00:00"), now=NOON, window=timedelta(days=400), limit=5
    )
    assert len(planned.verdicts) == MAX_DUE_TIMES
    assert len(walked) < MAX_DUE_TIMES + 500


def test_overlap_queue_lets_each_wait_for_the_one_before() -> None:
    late: dict[str, Any] = {
        "mark": at("2026-11-20 10:00"),
        "now": at("2026-11-20 12:00"),
        "catch_up": "all",
        "overlap": "queue",
    }
    assert words(verdicts(**late)) == ["10: catch_up", "11: waits", "12: waits"]
    assert words(verdicts(**late, has_open_run=True)) == ["10: waits", "11: waits", "12: waits"]


def test_overlap_replace_keeps_the_last_of_a_round_which_waits_for_the_end_of_an_open_run() -> None:
    late: dict[str, Any] = {
        "mark": at("2026-11-20 10:00"),
        "now": at("2026-11-20 12:00"),
        "catch_up": "all",
        "overlap": "replace",
    }
    planned = verdicts(**late)
    assert words(planned) == ["10: replaced", "11: replaced", "12: schedule"]
    assert reasons(planned) == ["overlap", "overlap", None]
    assert words(verdicts(**late, has_open_run=True)) == ["10: replaced", "11: replaced", "12: waits"]


def test_one_that_is_skipped_replaces_nothing() -> None:
    skips = frozenset({at("2026-11-20 12:00")})
    planned = verdicts(
        trigger=replace(HOURLY, skips=skips),
        mark=at("2026-11-20 11:00"),
        now=at("2026-11-20 12:00"),
        overlap="replace",
    )
    assert words(planned) == ["11: catch_up", "12: skipped by manual"]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("queue", ["09: catch_up", "10: waits"]),
        ("replace", ["09: replaced", "10: replaced", "11: catch_up"]),
        ("skip", ["09: catch_up", "10: skipped by overlap", "11: skipped by overlap"]),
    ],
)
def test_max_runs_counts_those_that_run_or_wait(overlap: str, expected: list[str]) -> None:
    planned = verdicts(
        mark=at("2026-11-20 09:00"), now=at("2026-11-20 11:30"), catch_up="all", overlap=overlap, runs_left=2
    )
    assert words(planned) == expected


def test_one_skipped_by_hand_is_nobodys_latest() -> None:
    trigger = replace(HOURLY, skips=frozenset({at("2026-11-20 11:00")}))
    planned = verdicts(trigger=trigger, mark=at("2026-11-20 09:00"), now=at("2026-11-20 11:30"))
    assert words(planned) == ["09: skipped by catch_up", "10: catch_up", "11: skipped by manual"]


@pytest.mark.parametrize(
    ("seconds_late", "deadline", "catch_up", "expected"),
    [
        (30, 30, "latest", "12: schedule"),
        (31, 30, "latest", "12: skipped by too_late"),
        (31, 30, "skip", "12: skipped by too_late"),
        (90, 120, "latest", "12: catch_up"),
        (90, 80, "latest", "12: skipped by too_late"),
        (90, 80, "all", "12: skipped by too_late"),
        (90, 80, "skip", "12: skipped by catch_up"),
    ],
)
def test_one_handled_after_its_deadline_is_too_late(
    seconds_late: int, deadline: int, catch_up: str, expected: str
) -> None:
    planned = verdicts(
        mark=NOON,
        now=NOON + timedelta(seconds=seconds_late),
        catch_up=catch_up,
        start_deadline=timedelta(seconds=deadline),
    )
    assert words(planned) == [expected]


def test_the_newest_of_a_busy_rule_are_found_without_walking_it(walked: list[datetime]) -> None:
    each_second = Trigger(rrule="FREQ=SECONDLY", starts_at=at("2026-01-01 00:00"))
    planned = verdicts(trigger=each_second, mark=at("2026-11-20 00:00"), now=NOON, catch_up="all", limit=50)
    assert set(reasons(planned)) == {"catch_up_limit"}
    assert len(walked) < MAX_DUE_TIMES + 500
