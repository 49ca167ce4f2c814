"""Ten minutes of people and due times, with faults in the middle; what it cost, and what was answered."""

import resource
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.memory import memory_of
from tests.e2e.crowd.people import Answer, busy, sign_up
from tests.e2e.installation import ApiUser
from tests.e2e.ledger.ground import PROCESSES, Ground, ground

SAMPLE_SECONDS = 2.0
# On the disk of a web process nothing larger has room: less than any upload.
FULL_BYTES = 5_000
SCHEDULES_EVERY_SECOND, MAILS_ONE_IN = 50, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many people, how many of them listening, and for how long."""

    people: int
    listening: int
    seconds: int
    due_each_second: int = SCHEDULES_EVERY_SECOND


@dataclass
class Samples:
    """What was held, by time: MiB of each process, and keys and bytes of Redis."""

    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    keys: list[tuple[float, float]] = field(default_factory=list)
    used: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Outcome:
    """What came of a trial.

    Attributes:
        faults: from when until when each fault held, in seconds since 1970.
    """

    size: Size
    answers: list[Answer]
    damaged: int
    heard: int
    samples: Samples
    faults: dict[str, tuple[float, float]]
    due: int
    runs: Counter[str]
    begun: float
    ended: float

    def growth(self, points: list[tuple[float, float]]) -> float:
        """Per cent, from when all was warm to the end."""
        length = self.ended - self.begun
        warm = [value for at, value in points if 0.2 <= (at - self.begun) / length < 0.35]
        last = [value for at, value in points if 0.85 <= (at - self.begun) / length < 1]
        return (statistics.median(last) / statistics.median(warm) - 1) * 100

    def errors(self) -> Counter[tuple[str, str, int]]:
        """What was not answered, or by an error of the server: in which fault, to what, and how."""
        return Counter(
            (self._fault_at(answer.at), answer.what, answer.status)
            for answer in self.answers
            if answer.status == 0 or answer.status >= 500
        )

    def _fault_at(self, moment: float) -> str:
        return next((name for name, (begin, end) in self.faults.items() if begin <= moment < end), "none")


def play(folder: Path, size: Size) -> Outcome:
    """Let people work while schedules fire, and take the mail, Redis and the disk away for a while each."""
    with ground(folder) as place:
        people = sign_up(place.addresses(), size.people)
        owner = place.user("ada@example.org")
        due = _schedule(place, owner, size)
        samples, begun = Samples(), time.time()
        with _sampling(place, samples), busy(people, listening=size.listening) as crowd:
            faults = dict(_faults(place, begun, size.seconds))
            time.sleep(max(begun + size.seconds - time.time(), 0))
        ended = time.time()
        return Outcome(
            size=size,
            answers=crowd.answers,
            damaged=crowd.damaged,
            heard=crowd.heard,
            samples=samples,
            faults=faults,
            due=due,
            runs=_runs(place, due),
            begun=begun,
            ended=ended,
        )


def _schedule(place: Ground, owner: ApiUser, size: Size) -> int:
    """Have so many due times come each second, until shortly before the end; how many in all.

    Each tenth is a reminder by e-mail: a mail server takes longer for one than a worker for ten calls.
    """
    start = (datetime.now(UTC) + timedelta(seconds=10)).replace(microsecond=0)
    times = size.seconds - 20
    trigger = {"every": 1, "starts_at": start.isoformat(), "max_runs": times}
    policy = {"catch_up": "all", "overlap": "allow", "notify": []}
    call = {"name": "call", "action": "webhook", "params": {"url": f"{place.receiver.url}/at-once"}}
    for number in range(size.due_each_second):
        if number % MAILS_ONE_IN == 0:
            owner.remind(**trigger, **policy)
        else:
            owner.post("/schedules", {**call, **trigger, **policy})
    return times * size.due_each_second


def _faults(place: Ground, begun: float, seconds: int) -> Iterator[tuple[str, tuple[float, float]]]:
    faults: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
        ("mail away", place.mail.stop, place.mail.start),
        ("Redis away", lambda: _end_redis(place), place.redis.start),
        (
            "disk full",
            lambda: _limit_files(place, FULL_BYTES),
            lambda: _limit_files(place, resource.RLIM_INFINITY),
        ),
    ]
    for number, (name, hurt, mend) in enumerate(faults):
        time.sleep(max(begun + seconds * (0.4 + 0.15 * number) - time.time(), 0))
        began = time.time()
        hurt()
        time.sleep(seconds * 0.05)
        mend()
        # Who was asked meanwhile may still be waiting.
        yield name, (began - 1, time.time() + 5)


def _end_redis(place: Ground) -> None:
    place.redis.kill()
    place.redis.wait(5)


def _limit_files(place: Ground, size: int) -> None:
    """Let the web processes write no file beyond a size: to them a disk that is full."""
    for name in PROCESSES[:2]:
        parent = place.installation.processes[name].pid
        for pid in (parent, *_children_of(parent)):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


def _children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def _sampling(place: Ground, samples: Samples) -> Iterator[None]:
    over = threading.Event()

    def sample() -> None:
        with Redis.from_url(place.installation.environment["REDIS_URL"]) as redis:
            while not over.wait(SAMPLE_SECONDS):
                _sample(place, redis, samples)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sample(place: Ground, redis: "Redis", samples: Samples) -> None:
    now = time.time()
    for name, process in list(place.installation.processes.items()):
        samples.memory[name].append((now, memory_of(process.pid).pss))
    try:
        samples.keys.append((now, float(redis.dbsize())))
        samples.used.append((now, float(redis.info("memory")["used_memory"])))
    except RedisError:
        return


def _runs(place: Ground, due: int) -> Counter[str]:
    """How many runs came to what, once all have ended."""
    # While people are there, work has what they leave of the machine.
    end = time.monotonic() + 900
    while True:
        rows = place.database.ask("SELECT status, count(*) FROM runs GROUP BY status")
        found = Counter(dict(rows))
        if found["completed"] >= due or time.monotonic() > end:
            return found
        time.sleep(0.5)
