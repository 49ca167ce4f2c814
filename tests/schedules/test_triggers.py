"""When a schedule is due: hand-worked cases and a comparison with a walk by the minute."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapi.schedules.timing.triggers import Trigger, UnreadableCron, check_cron, due_times, next_due
from tests.schedules.making import at

LONG_AGO = at("2020-01-01 00:00")


def local_times(n: int, *, after: str, **fields: str) -> list[str]:
    """The next due times on the wall with their offset, such as '10-25 02:30+02'."""
    trigger = Trigger(starts_at=LONG_AGO, **fields)  # type: ignore[arg-type]
    found = islice(due_times(trigger, after=at(after)), n)
    return [f"{due.at.astimezone(ZoneInfo(trigger.timezone)):%m-%d %H:%M%z}"[:-2] for due in found]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "rule", "expected"),
    [
        # Paris springs from 02:00 to 03:00 on 29 March 2026 …
        ("30 2 * * *", "Europe/Paris", "2026-03-28 12:00", {}, ["03-29 03:00+02", "03-30 02:30+02"]),
        ("30 2 * * *", "Europe/Paris", "2026-03-28 12:00", {"gap": "skip"}, ["03-30 02:30+02"]),
        ("15,45 2 * * *", "Europe/Paris", "2026-03-28 12:00", {}, ["03-29 03:00+02", "03-30 02:15+02"]),
        ("0 2-3 * * *", "Europe/Paris", "2026-03-28 12:00", {}, ["03-29 03:00+02", "03-30 02:00+02"]),
        ("30 * * * *", "Europe/Paris", "2026-03-29 00:00", {}, ["03-29 01:30+01", "03-29 03:30+02"]),
        # … and falls back from 03:00 to 02:00 on 25 October 2026.
        ("30 2 * * *", "Europe/Paris", "2026-10-24 12:00", {}, ["10-25 02:30+02", "10-26 02:30+01"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-24 12:00", {"repeat": "second"}, ["10-25 02:30+01"]),
        (
            "0,30 2 * * *",
            "Europe/Paris",
            "2026-10-24 12:00",
            {"repeat": "both"},
            ["10-25 02:00+02", "10-25 02:30+02", "10-25 02:00+01", "10-25 02:30+01", "10-26 02:00+01"],
        ),
        ("0 * * * *", "Europe/Paris", "2026-10-24 23:30", {}, ["10-25 02:00+02", "10-25 02:00+01"]),
        ("*/30 1-3 * * *", "Europe/Paris", "2026-10-25 00:10", {}, ["10-25 02:30+02", "10-25 03:00+01"]),
        # New York, 8 March and 1 November 2026.
        ("30 2 * * *", "America/New_York", "2026-03-08 00:00", {}, ["03-08 03:00-04", "03-09 02:30-04"]),
        ("30 1 * * *", "America/New_York", "2026-11-01 00:00", {}, ["11-01 01:30-04", "11-02 01:30-05"]),
        # Lord Howe moves by half an hour, on 4 October 2026 at 02:00 and 5 April 2026 at 02:00.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", {}, ["10-04 02:30+11", "10-05 02:15+11"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", {}, ["04-05 01:45+11", "04-06 01:45+10"]),
        # Santiago changes at midnight: 00:00 to 01:00 on 6 September 2026.
        ("0 0 * * *", "America/Santiago", "2026-09-05 12:00", {}, ["09-06 01:00-03", "09-07 00:00-03"]),
        ("0 9 * * mon-fri", "Asia/Kolkata", "2026-11-20 12:00", {}, ["11-23 09:00+05"]),
        ("45 2 * * *", "Pacific/Chatham", "2026-09-26 00:00", {}, ["09-27 03:45+13", "09-28 02:45+13"]),
        ("0 12 29 feb *", "UTC", "2026-01-01 00:00", {}, ["02-29 12:00+00"]),
    ],
)
def test_cron_lines_follow_the_wall_clock_and_the_dst_rule(
    cron: str, zone: str, after: str, rule: dict[str, str], expected: list[str]
) -> None:
    assert local_times(len(expected), after=after, cron=cron, timezone=zone, **rule) == expected


def test_a_moved_and_a_doubled_time_carry_a_note() -> None:
    trigger = Trigger(starts_at=LONG_AGO, cron="30 2 * * *", timezone="Europe/Paris", repeat="both")
    (gap,) = islice(due_times(trigger, after=at("2026-03-28 12:00")), 1)
    first, second = islice(due_times(trigger, after=at("2026-10-24 12:00")), 2)
    assert gap.note == "02:30 does not exist on this day"
    assert (first.note, second.note) == (
        "02:30 comes twice on this day: the first",
        "02:30 comes twice on this day: the second",
    )


def brute_force(
    cron: str, zone: ZoneInfo, start: datetime, end: datetime, *, gap: str, repeat: str
) -> list[datetime]:
    """Every due time by looking at each wall minute between two moments, in the plainest way."""
    found = set()
    wall = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=2)
    fields = CronSim(cron, wall)
    while wall < end.astimezone(zone).replace(tzinfo=None) + timedelta(days=2):
        wall += timedelta(minutes=1)
        matches = (
            wall.minute in fields.minutes
            and wall.hour in fields.hours
            and wall.month in fields.months
            and fields.match_day(wall.date())
        )
        if not matches:
            continue
        moments = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        real = sorted({m for m in moments if m.astimezone(zone).replace(tzinfo=None) == wall})
        if not real and gap == "next_valid":
            real = [next(m for m in minutes_from(min(moments)) if not shifted(m, min(moments), zone))]
        elif len(real) == 2 and repeat != "both":
            real = [real[0 if repeat == "first" else 1]]
        found.update(real)
    return sorted(moment for moment in found if start < moment < end)


def minutes_from(moment: datetime) -> list[datetime]:
    return [moment + timedelta(minutes=number) for number in range(200)]


def shifted(moment: datetime, before: datetime, zone: ZoneInfo) -> bool:
    return moment.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset()


ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"]
CHANGES = [datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 3, 8), datetime(2026, 11, 1)]  # noqa: DTZ001
CHANGES += [datetime(2026, 4, 5), datetime(2026, 10, 4), datetime(2026, 9, 6), datetime(2026, 2, 15)]  # noqa: DTZ001
minute_fields = st.sampled_from(["0", "30", "15,45", "*/20", "59"])
hour_fields = st.sampled_from(["0", "1", "2", "3", "1-3", "*/2", "0,2,4", "0-23"])


@settings(max_examples=60, deadline=None)
@given(
    minute=minute_fields,
    hour=hour_fields,
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(CHANGES),
    gap=st.sampled_from(["next_valid", "skip"]),
    repeat=st.sampled_from(["first", "second", "both"]),
)
def test_lines_that_name_hours_agree_with_a_walk_by_the_minute(
    minute: str, hour: str, zone: str, change: datetime, gap: str, repeat: str
) -> None:
    start, end = (change + timedelta(days=days) for days in (-2, 2))
    start, end = start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    cron = f"{minute} {hour} * * *"
    trigger = Trigger(starts_at=LONG_AGO, cron=cron, timezone=zone, gap=gap, repeat=repeat)
    found = [due.at for due in takewhile(lambda due: due.at < end, due_times(trigger, after=start))]
    assert found == brute_force(cron, ZoneInfo(zone), start, end, gap=gap, repeat=repeat)


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
