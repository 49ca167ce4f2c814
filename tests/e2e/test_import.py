"""Imports by real workers: killed in the middle, and in no more memory for more rows."""

import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.installation import REPOSITORY, ApiUser, Installation, wait_for

pytestmark = pytest.mark.e2e

GROWTH_KIB = 20 * 1024
# Imports a table in this process and tells the most memory that it ever held, in KiB.
MEASURED = """
import resource, sys
from uuid import UUID
from taskapi.app import create_app
from taskapi.tasks.importing import running
running.SLICE_SECONDS = 1e9
with create_app().app_context():
    running.work_on(import_id=UUID(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def table(rows: int) -> bytes:
    lines = (
        f'Task {number},"Words of {number},\nsome more",{number},tag {number % 20}\n'
        for number in range(rows)
    )
    return ("title,description,external_id,tags\n" + "".join(lines)).encode()


def send(user: ApiUser, content: bytes) -> str:
    file = {"file": ("tasks.csv", content, "text/csv")}
    answer = user.session.post(f"{user.url}/tasks/import", files=file, timeout=60)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_a_worker_that_is_killed_in_the_middle_costs_no_row_and_doubles_none(
    installation: Installation,
) -> None:
    rows = 1_500
    installation.start_all("web", "worker-1", "scheduler-1")
    user = ApiUser(installation.url, "ada@example.org")
    path = f"/tasks/imports/{send(user, table(rows))}"
    wait_for(lambda: user.get(path)["done_rows"], seconds=30, what="a beginning")
    # With the process that it has for jobs, at the same moment.
    os.killpg(installation.processes["worker-1"].pid, signal.SIGKILL)
    installation.kill("worker-1")
    half = user.get(path)
    assert half["status"] == "running"
    assert 0 < half["done_rows"] < rows
    installation.start("worker-1")
    wait_for(lambda: user.get(path)["status"] != "running", seconds=120, what="the end of the import")
    whole = user.get(path)
    assert (whole["status"], whole["created"], whole["failed"]) == ("completed", rows, 0)
    assert sorted(int(task["external_id"]) for task in user.walk("/tasks")) == list(range(rows))


def peak_memory(installation: Installation, user: ApiUser, rows: int) -> int:
    """Of a process that imports so many rows, in KiB."""
    import_id = send(user, table(rows))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, import_id],
        cwd=REPOSITORY,
        env=installation.environment,
        capture_output=True,
        timeout=900,
        check=True,
    )
    job = user.get(f"/tasks/imports/{import_id}")
    assert (job["status"], job["total_rows"], job["failed"]) == ("completed", rows, 0)
    return int(done.stdout.split()[-1])


@pytest.mark.soak
def test_a_hundred_thousand_rows_take_little_more_memory_than_two_thousand(
    installation: Installation,
) -> None:
    installation.start_all("web", "worker-1", "scheduler-1")
    # Only we import, in processes of our own.
    installation.kill("worker-1")
    user = ApiUser(installation.url, "ada@example.org")
    few = peak_memory(installation, user, 2_000)
    assert peak_memory(installation, user, 100_000) - few < GROWTH_KIB
