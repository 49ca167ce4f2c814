"""When a schedule is due: its bounds, intervals, exclusions, and lines that are refused."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import islice, takewhile
from time import thread_time
from zoneinfo import ZoneInfo

import pytest

from taskapi.schedules.timing.triggers import Trigger, UnreadableCron, check_cron, due_times, next_due
from tests.schedules.making import at

LONG_AGO = at("2020-01-01 00:00")


def test_a_moved_and_a_doubled_time_carry_a_note() -> None:
    trigger = Trigger(starts_at=LONG_AGO, cron="30 2 * * *", timezone="Europe/Paris", repeat="both")
    (gap,) = islice(due_times(trigger, after=at("2026-03-28 12:00")), 1)
    first, second = islice(due_times(trigger, after=at("2026-10-24 12:00")), 2)
    assert gap.note == "02:30 does not exist on this day"
    assert (first.note, second.note) == (
        "02:30 comes twice on this day: the first",
        "02:30 comes twice on this day: the second",
    )


def test_times_that_fall_together_are_one() -> None:
    trigger = Trigger(starts_at=LONG_AGO, cron="*/10 2-3 * * *", timezone="Europe/Paris")
    found = list(
        takewhile(
            lambda due: due.at < at("2026-03-29 01:20"), due_times(trigger, after=at("2026-03-29 00:00"))
        )
    )
    assert [due.at for due in found] == [at("2026-03-29 01:00"), at("2026-03-29 01:10")]


def test_a_line_by_real_time_moves_nothing_and_notes_nothing() -> None:
    trigger = Trigger(starts_at=LONG_AGO, cron="30 * * * *", timezone="Europe/Paris")
    found = list(islice(due_times(trigger, after=at("2026-10-24 23:00")), 3))
    assert [(due.at, due.note) for due in found] == [
        (at("2026-10-24 23:30"), None),
        (at("2026-10-25 00:30"), None),
        (at("2026-10-25 01:30"), None),
    ]


EVERY_DAY = Trigger(starts_at=LONG_AGO, cron="0 0,12 * * *", timezone="America/New_York")


def test_an_excluded_day_is_the_day_in_the_schedules_zone() -> None:
    trigger = replace(EVERY_DAY, exclude_days=frozenset({date(2026, 12, 25)}))
    found = [due.at for due in islice(due_times(trigger, after=at("2026-12-24 18:00")), 2)]
    assert found == [at("2026-12-26 05:00"), at("2026-12-26 17:00")]


def test_an_excluded_time_is_not_due_and_leaves_its_day_alone() -> None:
    trigger = replace(EVERY_DAY, exclude_times=frozenset({at("2026-12-25 05:00")}))
    assert next_due(trigger, after=at("2026-12-24 18:00")) == at("2026-12-25 17:00")


def test_a_time_is_excluded_to_the_millisecond_that_people_see() -> None:
    start = at("2026-12-25 05:00") + timedelta(microseconds=1234)
    shown = start + timedelta(seconds=60) - timedelta(microseconds=234)
    trigger = Trigger(every=60.0, starts_at=start, starts_inclusive=False, exclude_times=frozenset({shown}))
    assert next_due(trigger, after=start) == start + timedelta(seconds=120)


def test_a_time_skipped_by_hand_is_still_due() -> None:
    trigger = replace(EVERY_DAY, skips=frozenset({at("2026-12-25 05:00")}))
    due = next_due(trigger, after=at("2026-12-24 18:00"))
    assert due == at("2026-12-25 05:00")
    assert trigger.is_skipped(due)


@pytest.mark.parametrize(
    "trigger",
    [
        Trigger(every=1.0, starts_at=LONG_AGO),
        Trigger(cron="* * * * *", starts_at=LONG_AGO, timezone="America/St_Johns"),
        Trigger(cron="* 0-23 * * *", starts_at=LONG_AGO, timezone="Europe/Paris"),
        Trigger(rrule="FREQ=SECONDLY", starts_at=LONG_AGO, timezone="Europe/Paris"),
        Trigger(rrule="FREQ=SECONDLY;BYHOUR=0,1,2,22,23", starts_at=LONG_AGO),
    ],
)
def test_where_years_are_excluded_the_search_goes_past_them_at_once(trigger: Trigger) -> None:
    years = frozenset(date(2026, 1, 1) + timedelta(days=number) for number in range(1000))
    begun = thread_time()
    found = next_due(replace(trigger, exclude_days=years), after=at("2025-12-31 00:00"))
    assert found is not None
    late = next_due(replace(trigger, exclude_days=years), after=at("2026-01-01 06:00"))
    assert late is not None
    assert late.astimezone(ZoneInfo(trigger.timezone)).date() == date(2028, 9, 27)
    assert thread_time() - begun < 0.5


def test_everything_excluded_leaves_nothing() -> None:
    days = frozenset({date(2026, 3, 1), date(2026, 3, 2)})
    end = at("2026-03-02 20:00")
    trigger = Trigger(every=1.0, starts_at=at("2026-03-01 10:00"), ends_at=end, exclude_days=days)
    assert next_due(trigger, after=at("2026-01-01 00:00")) is None


def test_nothing_is_due_in_the_next_century_but_one() -> None:
    trigger = Trigger(cron="0 0 1 1 *", starts_at=at("2199-06-01 00:00"))
    assert next_due(trigger, after=at("2199-06-01 00:00")) is None


def test_an_interval_does_not_drift_in_thirty_days() -> None:
    trigger = Trigger(starts_at=at("2026-03-01 00:00"), every=90.0, timezone="Europe/Paris")
    moment, handled = at("2026-03-01 00:00"), 0
    while moment < at("2026-03-31 00:00"):
        found = next_due(trigger, after=moment)
        assert found is not None
        moment, handled = found, handled + 1
        assert (moment - trigger.starts_at).total_seconds() == handled * 90


@pytest.mark.parametrize(("inclusive", "first"), [(True, "2026-03-01 00:00"), (False, "2026-03-01 01:00")])
def test_an_interval_begins_at_a_given_start_and_one_step_after_a_defaulted_one(
    inclusive: bool, first: str
) -> None:
    start = at("2026-03-01 00:00")
    trigger = Trigger(starts_at=start, every=3600.0, starts_inclusive=inclusive)
    assert next_due(trigger, after=start - timedelta(seconds=1)) == at(first)


def test_a_fraction_of_a_second_is_kept_exactly() -> None:
    trigger = Trigger(starts_at=at("2026-03-01 00:00"), every=0.1 * 11)
    (third,) = islice(due_times(trigger, after=at("2026-03-01 00:00") + timedelta(seconds=2.5)), 1)
    assert third.at == at("2026-03-01 00:00") + timedelta(milliseconds=3300)


def test_nothing_is_due_before_the_start_or_from_the_end_on() -> None:
    trigger = Trigger(cron="0 * * * *", starts_at=at("2026-03-01 10:00"), ends_at=at("2026-03-01 12:00"))
    found = [due.at for due in due_times(trigger, after=at("2026-01-01 00:00"))]
    assert found == [at("2026-03-01 10:00"), at("2026-03-01 11:00")]


def test_once_is_due_once() -> None:
    trigger = Trigger(run_at=at("2026-03-01 10:00"), starts_at=LONG_AGO)
    assert next_due(trigger, after=at("2026-03-01 09:59")) == at("2026-03-01 10:00")
    assert next_due(trigger, after=at("2026-03-01 10:00")) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("* * * *", "5 fields"),
        ("0 0 1 1 1 1", "5 fields"),
        ("@daily", "5 fields"),
        ("61 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 0 30 2 *", "day of month"),
        ("0 0 31 4,6 *", "day of month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * mondays", "day of week"),
        ("x y z a b", "minute"),
    ],
)
def test_a_line_that_cannot_be_read_or_never_comes_is_refused_in_words(line: str, reason: str) -> None:
    with pytest.raises(UnreadableCron, match=reason):
        check_cron(line)
