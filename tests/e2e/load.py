"""Clients that read and write without a pause, and notice every answer that did not come."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.e2e.installation import ApiUser

# A machine that is busy with other tests takes its time to start a process.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.02


@dataclass
class Load:
    """What clients asked and got.

    Attributes:
        made: the titles of the tasks that were answered with 201.
        failures: requests that were not answered, or not as they should be.
        refused, broken: how often a request was sent again, as there was no connection, or one that gave
            no byte of an answer.
    """

    made: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    broken: int = 0


@contextmanager
def load(user: ApiUser, *, clients: int) -> Iterator[Load]:
    """While the block runs, each client reads, writes and changes tasks, one request after the other."""
    found, done, lock = Load(), threading.Event(), threading.Lock()
    threads = [
        threading.Thread(target=_work, args=(user, name, found, done, lock)) for name in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _work(user: ApiUser, name: int, found: Load, done: threading.Event, lock: threading.Lock) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {user.token}"
    for number in itertools.count():
        if done.is_set():
            return
        title = f"{name}-{number}"
        # With its key the request may be repeated, whatever became of the first.
        new = {"json": {"title": title}, "headers": {"Idempotency-Key": title}}
        made = _ask(session, "POST", f"{user.url}/tasks", 201, found, lock, **new)
        if made is not None:
            found.made.append(title)
            change = {"priority": "high"}
            _ask(session, "PATCH", f"{user.url}/tasks/{made['id']}", 200, found, lock, json=change)
        _ask(session, "GET", f"{user.url}/tasks?per_page=5", 200, found, lock)
        time.sleep(PAUSE_SECONDS)


def _ask(
    session: requests.Session,
    method: str,
    url: str,
    expected: int,
    found: Load,
    lock: threading.Lock,
    **options: Any,
) -> Any:
    """The answer's body; None if there was none, or another than expected."""
    started, refused, broken = time.monotonic(), 0, 0
    while True:
        try:
            answer = session.request(method, url, timeout=PATIENCE_SECONDS, **options)
            break
        except requests.exceptions.ChunkedEncodingError as error:
            # The answer had begun.
            found.failures.append(f"{method} {url}: {error}")
            return None
        except requests.ConnectionError as error:
            if time.monotonic() - started > PATIENCE_SECONDS:
                found.failures.append(f"{method} {url}: {error}")
                return None
            refused += "refused" in str(error)
            broken += "refused" not in str(error)
            time.sleep(0.05)
        except requests.RequestException as error:
            found.failures.append(f"{method} {url}: {error!r}")
            return None
    with lock:
        found.answers[answer.status_code] += 1
        found.refused += refused
        found.broken += broken
    if answer.status_code != expected:
        found.failures.append(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return None
    return answer.json()
