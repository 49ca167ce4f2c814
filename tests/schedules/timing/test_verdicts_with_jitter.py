"""What becomes of due times that are spread, and of those that rounds cut apart."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from taskapi.schedules.timing.jitter import spread
from taskapi.schedules.timing.verdicts import MISSED_AFTER
from tests.schedules.making import at
from tests.schedules.timing.judging import HOURLY, NOON, SEED, verdicts, words


def moment_of(due: datetime, jitter: float) -> datetime:
    return spread(SEED, due, jitter=jitter, next_at=due + timedelta(hours=1))


def test_with_jitter_a_due_time_is_handled_at_its_own_moment() -> None:
    moment = moment_of(NOON, 1800.0)
    early = verdicts(mark=NOON, now=moment - timedelta(microseconds=1), jitter=1800.0)
    assert (early.verdicts, early.next_run_at, early.dispatch_at) == ([], NOON, moment)
    planned = verdicts(mark=NOON, now=moment, jitter=1800.0)
    following = at("2026-11-20 13:00")
    assert [(verdict.at, verdict.due_at) for verdict in planned.verdicts] == [(NOON, moment)]
    assert (planned.next_run_at, planned.dispatch_at) == (following, moment_of(following, 1800.0))


def test_with_jitter_lateness_counts_from_that_moment() -> None:
    moment = moment_of(NOON, 1800.0)
    assert moment - NOON > MISSED_AFTER
    on_time = verdicts(mark=NOON, now=moment + MISSED_AFTER, jitter=1800.0, catch_up="skip")
    assert words(on_time) == ["12: schedule"]
    late = verdicts(mark=NOON, now=moment + MISSED_AFTER + MISSED_AFTER, jitter=1800.0, catch_up="skip")
    assert words(late) == ["12: skipped by catch_up"]


@pytest.mark.parametrize("jitter", [0.0, 600.0, 86_400.0])
@pytest.mark.parametrize("overlap", ["allow", "skip", "queue", "replace"])
@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
def test_every_due_time_gets_one_verdict_whatever_the_rounds(
    catch_up: str, overlap: str, jitter: float
) -> None:
    pause = (at("2026-11-20 03:30"), at("2026-11-20 06:10"))
    trigger = replace(HOURLY, skips=frozenset({at("2026-11-20 05:00"), at("2026-11-20 09:00")}))
    mark: datetime | None = at("2026-11-20 00:00")
    seen: list[datetime] = []
    while mark is not None and mark <= NOON:
        planned = verdicts(
            trigger=trigger,
            mark=mark,
            now=NOON + timedelta(hours=2),
            catch_up=catch_up,
            overlap=overlap,
            jitter=jitter,
            pause=pause,
            window=timedelta(hours=10),
            most=3,
        )
        seen += [verdict.at for verdict in planned.verdicts]
        mark = planned.next_run_at
    assert seen[:13] == [at("2026-11-20 00:00") + timedelta(hours=hour) for hour in range(13)]
    assert len(set(seen)) == len(seen)
