"""Two hundred people at once: each reads, writes, uploads, and some listen, as fast as people do."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import requests

from tests.e2e.crowd.listening import Listener
from tests.e2e.installation import ApiUser

TIMEOUT = 30.0
THINKING_SECONDS = (0.5, 2.5)
# The probability of each of what one does, of a hundred.
READ, WRITE, COMMENT = 60, 25, 7
UPLOAD = 100 - READ - WRITE - COMMENT
UPLOADED_BYTES = (10_000, 300_000)
# Of all that one does, how much is answers of each kind; who uploads downloads and deletes, too.
SHARES = {
    **dict.fromkeys(("list", "get"), READ / 200),
    **dict.fromkeys(("create", "change"), WRITE / 200),
    "comment": COMMENT / 100,
    **dict.fromkeys(("upload", "download", "delete"), UPLOAD / 100),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: when it was sent (seconds since 1970), what, its status, how long it took."""

    at: float
    what: str
    status: int
    seconds: float


@dataclass
class Crowd:
    """What all of them were answered.

    Attributes:
        answers: of all requests; a status of 0 is none at all.
        damaged: downloads that were not what was uploaded.
        listeners: what each of those has heard who had a page open.
    """

    answers: list[Answer] = field(default_factory=list)
    damaged: int = 0
    listeners: list[Listener] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def sign_up(addresses: Sequence[str], number: int) -> list[ApiUser]:
    """So many people with accounts, who share the web servers out among them."""
    servers = islice(cycle(addresses), number)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(ApiUser, servers, (f"person-{place}@example.org" for place in range(number))))


@contextmanager
def busy(people: list[ApiUser], *, listening: int) -> Iterator[Crowd]:
    """While the block runs, all of them work, and the first of them listen besides."""
    crowd = Crowd()
    crowd.listeners += [Listener(user, number) for number, user in enumerate(people[:listening])]
    working = _begin(_Person(user, crowd, number).work for number, user in enumerate(people))
    hearing = _begin(listener.listen for listener in crowd.listeners)
    try:
        yield crowd
    finally:
        crowd.over.set()
        _join(working)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Listener.come_to_an_end, crowd.listeners))
        _join(hearing)


def _begin(works: Iterable[Callable[[], None]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(TIMEOUT * 4)


class _Person:
    def __init__(self, user: ApiUser, crowd: Crowd, number: int) -> None:
        self._url, self._crowd = user.url, crowd
        self._dice = random.Random(number)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {user.token}"
        self._tasks: list[str] = []

    def work(self) -> None:
        # Not all at once.
        self._crowd.over.wait(self._dice.uniform(*THINKING_SECONDS))
        while not self._crowd.over.is_set():
            self._do_something()
            self._crowd.over.wait(self._dice.uniform(*THINKING_SECONDS))

    def _do_something(self) -> None:
        place = self._dice.randrange(100)
        if not self._tasks or READ <= place < READ + WRITE // 2:
            made = self._ask("create", "POST", "/tasks", json={"title": f"Task {time.time():.3f}"})
            self._tasks += [made["id"]] if made else []
        elif place < READ // 2:
            self._ask("list", "GET", "/tasks?per_page=20&status=todo")
        elif place < READ:
            self._ask("get", "GET", f"/tasks/{self._dice.choice(self._tasks)}")
        elif place < READ + WRITE:
            change = {"priority": self._dice.choice(["low", "high"])}
            self._ask("change", "PATCH", f"/tasks/{self._dice.choice(self._tasks)}", json=change)
        elif place < READ + WRITE + COMMENT:
            path = f"/tasks/{self._dice.choice(self._tasks)}/comments"
            self._ask("comment", "POST", path, json={"content": "Looks **good**."})
        else:
            self._upload()

    def _upload(self) -> None:
        content = self._dice.randbytes(self._dice.randint(*UPLOADED_BYTES)).hex().encode()
        files = {"file": ("notes.txt", content, "text/plain")}
        made = self._ask("upload", "POST", "/files", files=files)
        if made is None:
            return
        path = f"/files/{made['id']}"
        answer = self._send("download", "GET", f"{path}/content")
        if answer is not None and answer.ok and _hash(answer.content) != _hash(content):
            self._crowd.damaged += 1
        # Nobody's quota is to end the trial.
        self._send("delete", "DELETE", path)

    def _ask(self, what: str, method: str, path: str, **options: Any) -> Any:
        answer = self._send(what, method, path, **options)
        return answer.json() if answer is not None and answer.ok else None

    def _send(self, what: str, method: str, path: str, **options: Any) -> requests.Response | None:
        at, status, answer = time.time(), 0, None
        with suppress(requests.RequestException):
            answer = self._session.request(method, self._url + path, timeout=TIMEOUT, **options)
            status = answer.status_code
        self._crowd.answers.append(Answer(at, what, status, time.time() - at))
        return answer


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
