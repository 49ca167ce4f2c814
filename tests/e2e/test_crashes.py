"""Nothing lost, nothing doubled, nothing early, whatever is killed or flushed."""

import itertools
import time
from collections import Counter

import pytest
from redis import Redis

from tests.e2e.installation import ApiUser, Installation, in_seconds, wait_for

pytestmark = pytest.mark.e2e

SCHEDULES, RUNS_EACH = 5, 20


def crash_everything_in_turn(installation: Installation) -> None:
    """For 20 seconds: kill -9 one process after the other, starting each again, and flush Redis."""
    redis = Redis.from_url(installation.environment["REDIS_URL"])
    victims = itertools.cycle(["scheduler-1", "worker-1", "FLUSHALL", "worker-2", "scheduler-2"])
    end = time.monotonic() + 20
    while time.monotonic() < end:
        victim = next(victims)
        if victim == "FLUSHALL":
            redis.flushall()
        else:
            installation.kill(victim)
            time.sleep(0.5)
            installation.start(victim)
        time.sleep(1.5)
    redis.close()


def test_a_hundred_due_times_are_a_hundred_runs(installation: Installation) -> None:
    names = ["web", "worker-1", "worker-2", "scheduler-1", "scheduler-2"]
    installation.start_all(*names)
    user = ApiUser(installation.url, "ada@example.org")
    start = in_seconds(3)
    for _ in range(SCHEDULES):
        user.remind(every=1, starts_at=start, max_runs=RUNS_EACH, catch_up="all", overlap="allow", notify=[])
    crash_everything_in_turn(installation)
    total = SCHEDULES * RUNS_EACH
    wait_for(lambda: user.get("/runs", status="completed")["total"] >= total, seconds=60, what="every run")

    runs = user.all_runs()
    assert len(runs) == total
    assert {run["status"] for run in runs} == {"completed"}
    due = Counter((run["schedule_id"], run["scheduled_for"]) for run in runs)
    assert set(due.values()) == {1}
    assert min(run["lag_ms"] for run in runs) >= 0
    reminders = [item for item in user.walk("/notifications") if item["type"] == "reminder"]
    assert len(reminders) == total
    assert {item["status"] for item in user.get("/schedules")["items"]} == {"completed"}
