"""The systems that are compared: how each gets its work, and its two workers."""

import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from flask import Flask

from benchmarks.actions import JOB
from benchmarks.processes import BIN, RIVALS, ROOT, environment, rivals_environment, running, wait_until
from benchmarks.queue_seed import add_schedules, add_their_runs, dispatch_all
from benchmarks.rivals.stamps import count_stamps, read_stamps
from taskapi.background.enqueue import JobCall, count_workers, enqueue
from taskapi.background.names import Queue
from taskapi.core.ids import new_id

BATCH = 500
PYTHON = RIVALS / "python"
CELERY = (
    *("celery", "--app", "benchmarks.rivals.celery_app", "worker", "--pool", "prefork"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
)
RQ_SCHEDULER = ("rqscheduler", "--interval", "1", "--url")


class System(ABC):
    """One system on an installation: gets jobs, and works on them in two processes.

    Attributes:
        recorded: each job writes its run and an event; else it only notes when it began.
    """

    name = ""

    def __init__(self, app: Flask, rivals_url: str, *, recorded: bool) -> None:
        self.app, self.rivals_url, self.recorded = app, rivals_url, recorded
        folder: Path = app.extensions["taskapi_settings"].data_dir
        self.folder = folder
        self.stamps = folder / "stamps"
        self.log = folder / f"{self.name.replace(' ', '-')}.out"

    @abstractmethod
    def fill(self, due: Sequence[float]) -> None:
        """Queue a job for each due time, to be done at once."""

    @abstractmethod
    def plan(self, due: Sequence[float]) -> None:
        """Have a job done at each due time."""

    @abstractmethod
    def workers(self) -> AbstractContextManager[None]:
        """Two workers, once they are ready."""

    def timekeeper(self) -> AbstractContextManager[None]:
        """Workers and whatever else is needed for what is planned."""
        return self.workers()

    def done(self) -> int:
        return count_stamps(self.stamps)

    def begin(self) -> None:
        """Forget what was noted before."""
        self.stamps.unlink(missing_ok=True)

    def wait_for(self, number: int, seconds: float) -> list[tuple[float, float]]:
        """When each of so many jobs began and was due, once all are done."""
        wait_until(lambda: self.done() >= number, seconds=seconds, pause=0.05)
        return read_stamps(self.stamps)


class Ours(System):
    """taskapi: workers, and for what is planned its scheduler."""

    name = "taskapi"

    def fill(self, due: Sequence[float]) -> None:
        if self.recorded:
            add_schedules(self.app, len(due), first=due[0])
            dispatch_all(self.app)
            return
        with self.app.app_context():
            for start in range(0, len(due), BATCH):
                calls = [
                    JobCall(name=JOB, args=[str(at)], job_id=f"plain-{new_id()}")
                    for at in due[start : start + BATCH]
                ]
                assert enqueue(Queue.RUNS, calls)

    def plan(self, due: Sequence[float]) -> None:
        step = (due[-1] - due[0]) / (len(due) - 1) if len(due) > 1 else 0.0
        add_schedules(self.app, len(due), first=due[0], step=step, once=True)

    def workers(self) -> AbstractContextManager[None]:
        return self._processes("worker", "worker")

    def timekeeper(self) -> AbstractContextManager[None]:
        return self._processes("scheduler", "worker", "worker")

    @contextmanager
    def _processes(self, *commands: str) -> Iterator[None]:
        with ExitStack() as stack:
            for command in commands:
                stack.enter_context(running((BIN / "flask", command), self.variables(), self.log))
            wait_until(lambda: self._workers() == 2)
            yield

    def variables(self) -> dict[str, str]:
        path = os.pathsep.join((str(ROOT), str(self.folder / "plugin")))
        stamps = {"BENCHMARK_STAMPS": str(self.stamps), "PYTHONPATH": path}
        return environment(self.app, **stamps, USER_RUNS_AT_ONCE="100000")

    def _workers(self) -> int | None:
        with self.app.app_context():
            return count_workers()


class OursRelayed(Ours):
    """The same while the scheduler tells of what the runs did."""

    name = "taskapi, events relayed"

    def workers(self) -> AbstractContextManager[None]:
        return self.timekeeper()


class Rival(System):
    """Jobs are queued by its own client, in its own environment."""

    filler = ""
    planner = ""

    def fill(self, due: Sequence[float]) -> None:
        self._ask(self.filler, due, at_due=False)

    def plan(self, due: Sequence[float]) -> None:
        self._ask(self.planner, due, at_due=True)

    def _ask(self, filler: str, due: Sequence[float], *, at_due: bool) -> None:
        ids: Sequence[str | None] = [None] * len(due)
        if self.recorded:
            ids = add_their_runs(self.rivals_url, due)
        plan = {"jobs": list(zip(ids, due, strict=True)), "at_due": at_due}
        command = (str(PYTHON), "-m", "benchmarks.rivals.fill", filler)
        subprocess.run(command, input=json.dumps(plan), text=True, env=self.variables(), cwd=ROOT, check=True)

    def variables(self) -> dict[str, str]:
        return rivals_environment(self.app, self.rivals_url, BENCHMARK_STAMPS=str(self.stamps))


class Celery(Rival):
    """One command with two processes."""

    name = "Celery, prefork"
    filler = planner = "celery"
    commands, processes = 1, 2

    @contextmanager
    def workers(self) -> Iterator[None]:
        program, *options = CELERY
        with ExitStack() as stack:
            for place in range(self.commands):
                own = ("--concurrency", str(self.processes), "--hostname", f"worker{place}@%h")
                stack.enter_context(running((RIVALS / program, *options, *own), self.variables(), self.log))
            yield


class CeleryApart(Celery):
    """Two commands with a process each: nobody hands jobs on to two."""

    name = "Celery, two commands"
    commands, processes = 2, 1


class Rq(Rival):
    name = "RQ"
    filler, planner = "rq", "rq-scheduler"

    @contextmanager
    def workers(self) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(2):
                command = (PYTHON, "-m", "benchmarks.rivals.rq_worker")
                stack.enter_context(running(command, self.variables(), self.log))
            yield

    @contextmanager
    def timekeeper(self) -> Iterator[None]:
        program, *options = (*RQ_SCHEDULER, self.variables()["REDIS_URL"])
        with running((RIVALS / program, *options), self.variables(), self.log), self.workers():
            yield


def now() -> float:
    """Seconds since 1970, as everybody stamps."""
    return time.time()
