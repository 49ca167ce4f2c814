"""What becomes of each due time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from taskapi.schedules.timing import verdicts as verdicts_module
from taskapi.schedules.timing.triggers import Due, Trigger, due_times
from taskapi.schedules.timing.verdicts import MAX_DUE_TIMES, Plan, Policy, plan
from tests.schedules.making import at

NOON = at("2026-11-20 12:00")
HOURLY = Trigger(cron="0 * * * *", starts_at=at("2026-01-01 00:00"))


def verdicts(
    *,
    mark: datetime,
    now: datetime,
    trigger: Trigger = HOURLY,
    has_open_run: bool = False,
    catch_up: str = "latest",
    window: timedelta = timedelta(days=1),
    limit: int = 100,
    overlap: str = "allow",
    pause: tuple[datetime, datetime] | None = None,
    runs_left: int | None = None,
) -> Plan:
    policy = Policy(
        catch_up=catch_up,
        catch_up_window=window,
        catch_up_limit=limit,
        pause=pause,
        overlap=overlap,
        runs_left=runs_left,
    )
    return plan(trigger, policy, mark=mark, now=now, has_open_run=has_open_run)


def words(planned: Plan) -> list[str]:
    """Each verdict as 'hour: runs by …' or 'hour: skipped by …'."""
    return [
        f"{verdict.at:%H}: skipped by {verdict.skipped}"
        if verdict.skipped
        else f"{verdict.at:%H}: {verdict.trigger}"
        for verdict in planned.verdicts
    ]


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
    assert [verdict.skipped for verdict in planned.verdicts] == ["catch_up_limit"] * 3 + [None, None]


@pytest.mark.parametrize(
    ("catch_up", "reasons"),
    [("skip", ["paused", "paused", None]), ("latest", ["paused", None, None]), ("all", [None, None, None])],
)
def test_due_times_of_a_pause_get_catch_up_even_when_just_past(
    catch_up: str, reasons: list[str | None]
) -> None:
    pause = (at("2026-11-20 09:30"), at("2026-11-20 11:00") + timedelta(seconds=10))
    planned = verdicts(
        mark=at("2026-11-20 10:00"), now=at("2026-11-20 12:00"), catch_up=catch_up, pause=pause
    )
    assert [verdict.skipped for verdict in planned.verdicts] == reasons


def test_overlap_skip_lets_one_run_be_open() -> None:
    planned = verdicts(
        mark=at("2026-11-20 10:00"), now=at("2026-11-20 11:30"), catch_up="all", overlap="skip"
    )
    assert [verdict.skipped for verdict in planned.verdicts] == [None, "overlap"]
    planned = verdicts(mark=NOON, now=NOON, overlap="skip", has_open_run=True)
    assert [verdict.skipped for verdict in planned.verdicts] == ["overlap"]


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
        ran += [verdict.at for verdict in planned.verdicts if verdict.skipped is None]
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
