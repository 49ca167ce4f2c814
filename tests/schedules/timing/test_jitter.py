"""Spreading due times: anywhere before the next one, and always at the same place."""

import subprocess
import sys
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from taskapi.schedules.timing.jitter import spread
from tests.schedules.making import at

NINE = at("2026-11-20 09:00")
SEED = UUID("0198c5a0-0000-7000-8000-000000000001")


@given(
    seed=st.uuids(),
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
    jitter=st.floats(0, 86_400),
    gap=st.timedeltas(timedelta(microseconds=1), timedelta(days=2)),
)
def test_a_due_time_moves_less_than_its_jitter_and_stays_before_the_next(
    seed: UUID, moment: datetime, jitter: float, gap: timedelta
) -> None:
    moved = spread(seed, moment, jitter=jitter, next_at=moment + gap)
    assert moment <= moved < moment + gap
    assert moved - moment <= timedelta(seconds=jitter)


def test_schedules_and_due_times_fall_evenly_into_the_whole_of_it() -> None:
    seeds = [UUID(int=number) for number in range(2000)]
    moved = [spread(seed, NINE, jitter=60.0, next_at=None) - NINE for seed in seeds]
    tenths = [
        sum(number * 6 <= move.total_seconds() < number * 6 + 6 for move in moved) for number in range(10)
    ]
    assert all(140 < count < 260 for count in tenths)
    days = {spread(SEED, NINE + timedelta(days=day), jitter=60.0, next_at=None).second for day in range(60)}
    assert len(days) > 20


def test_another_process_finds_the_same_moment() -> None:
    here = spread(SEED, NINE, jitter=3600.0, next_at=None)
    program = (
        "from datetime import datetime; from uuid import UUID\n"
        "from taskapi.schedules.timing.jitter import spread\n"
        f"at = datetime.fromisoformat({NINE.isoformat()!r})\n"
        f"print(spread(UUID({str(SEED)!r}), at, jitter=3600.0, next_at=None).isoformat())"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.isoformat()
    assert here != NINE
