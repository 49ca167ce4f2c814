"""How long processes take to start, and what memory they hold, at first and after much work.

``python -m benchmarks.memory [number]``: so many jobs and requests in between, 100,000 by default.
What processes share by being forked counts once (PSS, proc_pid_smaps(5)); RSS counts it for each of them.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from flask import Flask

from benchmarks.actions import JOB
from benchmarks.http import LIST
from benchmarks.installation import installation
from benchmarks.live import free_port
from benchmarks.load import Plan, ask, request
from benchmarks.processes import BIN, answers, environment, running, wait_until
from benchmarks.queue_seed import add_owners, add_schedules, count_runs
from benchmarks.results import save, table
from benchmarks.rivals.stamps import count_stamps
from taskapi.background.enqueue import JobCall, count_workers, enqueue
from taskapi.background.names import Queue
from taskapi.core.heartbeats import scheduler_last_seen
from taskapi.core.ids import new_id
from tests.people import make_person
from tests.processes import children_of

NUMBER, BATCH, LONG = 100_000, 500, 3600.0


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a process and its children: each counted by itself, and what they share counted once."""

    rss: float
    pss: float

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.rss + other.rss, self.pss + other.pss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one kind of process: seconds to start, and its memory at first and after its work."""

    start: float
    first: Memory
    later: Memory

    @property
    def growth(self) -> float:
        """Per cent."""
        return (self.later.pss / self.first.pss - 1) * 100


def memory_of(process: int) -> Memory:
    """What a process and its children hold."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    own = Memory(kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024)
    return sum(map(memory_of, children_of(process)), start=own)


@contextmanager
def timed(
    app: Flask, command: tuple[str | Path, ...], ready: Callable[[], bool], **settings: str
) -> Iterator[tuple["subprocess.Popen[bytes]", float]]:
    """A process, and the seconds until it was ready."""
    folder: Path = app.extensions["taskapi_settings"].data_dir
    begun = time.perf_counter()
    with running(command, environment(app, **settings), folder / "memory.out") as process:
        wait_until(ready, pause=0.005)
        yield process, time.perf_counter() - begun


def web(app: Flask, number: int) -> Figures:
    """Two web processes, asked so many times for a list and for one's own account."""
    port = free_port()
    settings = {"PORT": str(port), "ACCESS_TOKEN_EXPIRE_MINUTES": "1440"}
    command = (BIN / "gunicorn", "-c", "python:taskapi.ops.gunicorn_settings", "wsgi:app")
    token = make_person(app, "somebody@example.org").access_token
    requests = [request("GET", path, token) for path in (LIST, "/api/auth/me")]

    def burst(seconds: float) -> int:
        plan = Plan(port=port, connections=16, seconds=seconds, requests=requests)
        return ask(plan).answers

    with timed(app, command, lambda: answers(port, "/health"), **settings) as (process, start):
        burst(2)
        first = memory_of(process.pid)
        done = 0
        while done < number:
            done += burst(5)
        return Figures(start=start, first=first, later=memory_of(process.pid))


def worker(app: Flask, number: int) -> Figures:
    """A worker with its work-horse, after so many jobs."""
    folder: Path = app.extensions["taskapi_settings"].data_dir
    stamps = folder / "stamps"

    def lives() -> bool:
        with app.app_context():
            return bool(count_workers())

    def work(jobs: int) -> None:
        there = count_stamps(stamps)
        with app.app_context():
            for _ in range(jobs // BATCH):
                calls = [JobCall(name=JOB, args=["0"], job_id=f"plain-{new_id()}") for _ in range(BATCH)]
                assert enqueue(Queue.RUNS, calls)
        wait_until(lambda: count_stamps(stamps) >= there + jobs // BATCH * BATCH, seconds=LONG)

    settings = {"BENCHMARK_STAMPS": str(stamps)}
    with timed(app, (BIN / "flask", "worker"), lives, **settings) as (process, start):
        work(BATCH)
        first = memory_of(process.pid)
        work(number)
        return Figures(start=start, first=first, later=memory_of(process.pid))


def scheduler(app: Flask, number: int) -> Figures:
    """A scheduler, after so many due times."""

    def beats() -> bool:
        with app.app_context():
            return scheduler_last_seen()[0] is not None

    def dispatch(due: int) -> None:
        before = count_runs(app, "pending")
        add_schedules(app, due, first=time.time() - 5)
        wait_until(lambda: count_runs(app, "pending") >= before + due, seconds=LONG, pause=0.1)

    with timed(app, (BIN / "flask", "scheduler"), beats, USER_RUNS_AT_ONCE="100000") as (process, start):
        # Rounds are full only when much is due at once.
        dispatch(10 * BATCH)
        first = memory_of(process.pid)
        dispatch(number)
        return Figures(start=start, first=first, later=memory_of(process.pid))


@click.command()
@click.argument("number", type=int, default=NUMBER)
def command(number: int) -> None:
    """Measure, print the table, and keep it."""
    figures = {}
    with installation() as app:
        add_owners(app)
        for name, measure in {"web, two processes": web, "worker": worker, "scheduler": scheduler}.items():
            figures[name] = measure(app, number)
            click.echo(f"{name}: {figures[name]}", err=True)
    rows = [
        (
            *(name, f"{one.start:.2f}", f"{one.first.rss:.1f}", f"{one.first.pss:.1f}"),
            *(f"{one.later.rss:.1f}", f"{one.later.pss:.1f}", f"{one.growth:+.1f}"),
        )
        for name, one in figures.items()
    ]
    after = f"after {number:,}"
    head = (
        *("process", "ready after, s", "RSS at first, MiB", "PSS at first"),
        *(f"RSS {after}", f"PSS {after}", "growth of PSS, %"),
    )
    save("memory", {"Memory": table(head, rows)}, {name: asdict(one) for name, one in figures.items()})


if __name__ == "__main__":
    command()
