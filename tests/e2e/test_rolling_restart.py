"""An upgrade by rolling restarts: no request fails, no due time is lost or doubled."""

import itertools
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.installation import START_SECONDS, ApiUser, Installation, in_seconds, wait_for
from tests.e2e.load import Load, load

SCHEDULES, CLIENTS = 3, 3
PROCESSES = ["web", "worker-1", "scheduler-1", "worker-2", "scheduler-2"]


def restart_in_turn(installation: Installation, *, seconds: float) -> None:
    """End one process in order, start it again, and once it is there go on with the next."""
    end = time.monotonic() + seconds
    for name in itertools.cycle(PROCESSES):
        if time.monotonic() > end:
            return
        installation.restart(name)
        wait_for(installation.is_answering, seconds=START_SECONDS, what="an answer")
        time.sleep(1.0)


def run_for(installation: Installation, seconds: float) -> tuple[ApiUser, Load, int]:
    """Restart everything in turn while clients work and schedules fire each second."""
    installation.start_all(*PROCESSES)
    user = ApiUser(installation.url, "ada@example.org")
    total, start = round(seconds), in_seconds(2)
    for _ in range(SCHEDULES):
        user.remind(every=1, starts_at=start, max_runs=total, catch_up="all", overlap="allow", notify=[])
    with load(user, clients=CLIENTS) as found:
        restart_in_turn(installation, seconds=seconds)
    user = user.signed_in_again()
    wait_for(
        lambda: user.get("/runs", status="completed")["total"] >= SCHEDULES * total,
        seconds=60 + 2 * total,
        what="every run",
    )
    return user, found, total


def check(user: ApiUser, found: Load, total: int) -> None:
    assert found.failures == []
    assert len(found.made) > CLIENTS
    titles = Counter(task["title"] for task in user.walk("/tasks"))
    assert titles == Counter(found.made)
    runs = user.all_runs()
    assert {run["status"] for run in runs} == {"completed"}
    due = Counter((run["schedule_id"], run["scheduled_for"]) for run in runs)
    assert set(due.values()) == {1}
    assert len(due) == SCHEDULES * total
    reminders = [item for item in user.walk("/notifications") if item["type"] == "reminder"]
    assert len(reminders) == SCHEDULES * total


@pytest.fixture
def door(installation: Installation) -> Iterator[socket.socket]:
    """The web process's socket, held by somebody who outlives it."""
    with socket.create_server(("127.0.0.1", installation.port)) as listening:
        installation.door = listening
        yield listening


@pytest.mark.e2e
@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_restarts_lose_nothing(installation: Installation) -> None:
    check(*run_for(installation, 15.0))


@pytest.mark.soak
def test_two_minutes_of_restarts_lose_nothing(installation: Installation) -> None:
    check(*run_for(installation, 120.0))


@pytest.mark.soak
@pytest.mark.usefixtures("door")
def test_with_a_socket_that_stays_no_connection_is_refused(installation: Installation) -> None:
    user, found, total = run_for(installation, 30.0)
    check(user, found, total)
    assert found.refused == 0
