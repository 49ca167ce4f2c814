"""The main job with real processes: schedule, run, and see that it ran."""

import math
from typing import Any

import pytest

from tests.e2e.installation import ApiUser, Installation, in_seconds, wait_for

pytestmark = pytest.mark.e2e


def finished(user: ApiUser, number: int) -> list[dict[str, Any]] | None:
    runs = user.all_runs()
    done = [run for run in runs if run["status"] not in ("pending", "running")]
    return done if len(done) >= number else None


def test_a_reminder_is_sent_on_time_and_seen_in_the_history(installation: Installation) -> None:
    installation.start_all("web", "worker-1", "scheduler-1")
    user = ApiUser(installation.url, "ada@example.org")
    schedule = user.remind(name="Tea", run_at=in_seconds(1.5))
    (run,) = wait_for(lambda: finished(user, 1), seconds=20, what="the run")
    assert run["status"] == "completed"
    assert run["scheduled_for"] == schedule["run_at"]
    assert run["lag_ms"] >= 0
    mails = installation.folder / "mail"
    wait_for(lambda: len(list(mails.glob("*.eml"))) == 3, seconds=15, what="three mails")
    assert user.get(f"/schedules/{schedule['id']}")["status"] == "completed"
    assert {item["type"] for item in user.get("/notifications")["items"]} == {"reminder", "run_completed"}


def test_lag_stays_under_a_tenth_of_a_second_when_idle(installation: Installation) -> None:
    installation.start_all("web", "worker-1", "worker-2", "scheduler-1")
    user = ApiUser(installation.url, "ada@example.org")
    for number in range(40):
        user.remind(run_at=in_seconds(3 + number * 0.3), notify=[])
    runs = wait_for(lambda: finished(user, 40), seconds=40, what="40 runs")
    lags = sorted(run["lag_ms"] for run in runs)
    assert lags[0] >= 0, "a run was early"
    assert lags[math.ceil(0.95 * len(lags)) - 1] < 100, lags
