"""Old runs are forgotten by a process of its own while others read and write: for ``benchmarks.growth``.

``python -m benchmarks.forgetting`` is that process: it says that it is ready, waits for a line, and tells
how many runs it deleted, in what time, and for how long a transaction of it lasted at most: no lock is
held for longer.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from typing import Any
from uuid import UUID

import click
import sqlalchemy as sa
from flask import Flask

from benchmarks.processes import ROOT, environment
from benchmarks.results import quantile
from taskapi.core.db import db
from tests.people import Person

# How often each call is asked for before there is anything beside it.
ALONE = 300
SECONDS_OF_A_RUN, DAY = 60, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How many runs were deleted; in seconds all of it, and in ms the longest statement and transaction."""

    gone: int
    seconds: float
    statement: float
    transaction: float


def _until_it_ends(process: "subprocess.Popen[str]") -> Iterator[None]:
    while process.poll() is None:
        yield None
    assert process.returncode == 0


def beside_others(app: Flask, person: Person, schedule_id: UUID, runs: int) -> dict[str, float]:
    """Milliseconds, p99: reading and starting runs alone, and while a fifth of them is being forgotten.

    Args:
        runs: how many there are, one a minute until now.
    """
    kept = runs - min(runs // 5, 100_000)
    days = max(kept * SECONDS_OF_A_RUN // DAY, 1)
    command = [sys.executable, "-m", "benchmarks.forgetting"]
    variables = environment(app, RUN_RETENTION_DAYS=str(days))
    with subprocess.Popen(
        command, env=variables, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        alone = _times(person, schedule_id, repeat(None, ALONE))
        process.stdin.write("begin\n")
        process.stdin.flush()
        # At least once, however soon it is done.
        beside = _times(person, schedule_id, chain([None], _until_it_ends(process)))
        # Below lines of the log.
        found = Forgotten(**json.loads(process.stdout.read().splitlines()[-1]))
    assert found.gone > 0
    return {
        "runs forgotten": found.gone,
        "forgotten each second": found.gone / found.seconds,
        "longest statement": found.statement,
        "longest transaction": found.transaction,
        **{f"{name}, alone": quantile(each, 0.99) for name, each in alone.items()},
        **{f"{name}, beside": quantile(each, 0.99) for name, each in beside.items()},
    }


def _times(person: Person, schedule_id: UUID, turns: Iterator[object]) -> dict[str, Sequence[float]]:
    """Milliseconds of reading and writing by turns, in order."""
    times: dict[str, list[float]] = {"reading, p99": [], "writing, p99": []}
    for _ in turns:
        for name, method, path in (
            ("reading, p99", "GET", "/api/runs"),
            ("writing, p99", "POST", f"/api/schedules/{schedule_id}/run"),
        ):
            begun = time.perf_counter()
            answer = person.call(method, path)
            times[name].append((time.perf_counter() - begun) * 1000)
            assert answer.status_code in (200, 202), answer.text
    return {name: sorted(each) for name, each in times.items()}


class Stopwatch:
    """The longest statement and transaction of an engine, in ms."""

    def __init__(self, engine: sa.Engine) -> None:
        self.statement = self.transaction = 0.0
        self._statement = self._transaction = time.perf_counter()
        sa.event.listen(engine, "begin", self._begin)
        sa.event.listen(engine, "commit", self._commit)
        sa.event.listen(engine, "before_cursor_execute", self._before)
        sa.event.listen(engine, "after_cursor_execute", self._after)

    def _begin(self, *_arguments: Any) -> None:
        self._transaction = time.perf_counter()

    def _commit(self, *_arguments: Any) -> None:
        self.transaction = max(self.transaction, (time.perf_counter() - self._transaction) * 1000)

    def _before(self, *_arguments: Any) -> None:
        self._statement = time.perf_counter()

    def _after(self, *_arguments: Any) -> None:
        self.statement = max(self.statement, (time.perf_counter() - self._statement) * 1000)


def main() -> None:
    """Wait for a line, forget old runs, and tell about it as JSON."""
    from taskapi.schedules.retention import forget_old_runs
    from taskapi.wsgi import app

    with app.app_context():
        stopwatch = Stopwatch(db.engine)
        click.echo("ready")
        sys.stdin.readline()
        begun = time.perf_counter()
        gone = forget_old_runs()
        found = Forgotten(
            gone=gone,
            seconds=time.perf_counter() - begun,
            statement=stopwatch.statement,
            transaction=stopwatch.transaction,
        )
    click.echo(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
