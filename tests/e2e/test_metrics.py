"""Figures of a real server of two processes: each request is counted once, whoever answered it."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.e2e.installation import START_SECONDS, Installation, wait_for
from tests.processes import children_of

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("installation", ["sqlite"], indirect=True)]

REQUESTS = 150


def test_each_request_is_counted_once_also_after_a_process_was_killed(installation: Installation) -> None:
    installation.environment |= {"WEB_CONCURRENCY": "2"}
    installation.start("web")
    wait_for(lambda: answers(installation), seconds=START_SECONDS, what="the start")
    begun = counted(installation)
    send(installation)
    assert counted(installation) == begun + REQUESTS
    master = installation.processes["web"].pid
    first, _ = children_of(master)
    assert web_processes(installation) == 2, "both had something to do"
    os.kill(first, signal.SIGKILL)
    wait_for(
        lambda: len(set(children_of(master)) - {first}) == 2, seconds=START_SECONDS, what="a new process"
    )
    assert counted(installation) == begun + REQUESTS, "what the dead one counted is kept"
    send(installation)
    assert counted(installation) == begun + 2 * REQUESTS
    assert len(list((installation.folder / "metrics").iterdir())) <= 3, "its file is used again"


def answers(installation: Installation) -> bool:
    try:
        return requests.get(f"{installation.url}/docs", timeout=5).ok
    except requests.ConnectionError:
        return False


def send(installation: Installation) -> None:
    """Ask over a new connection each time, so that both processes have something to do."""
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(requests.get, f"{installation.url}/health", timeout=10) for _ in range(REQUESTS)
        ]
    assert all(each.result().status_code == 200 for each in asked)


def samples(installation: Installation) -> list[Sample]:
    text = requests.get(f"{installation.url}/metrics", timeout=10).text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def counted(installation: Installation) -> float:
    wanted = {"method": "GET", "route": "/health", "status": "200"}
    found = [each.value for each in samples(installation) if each.labels == wanted]
    return sum(found)


def web_processes(installation: Installation) -> int:
    """How many have counted something and are alive."""
    began = [each for each in samples(installation) if each.name == "taskapi_process_start_time_seconds"]
    return sum(each.labels["kind"] == "web" for each in began)
