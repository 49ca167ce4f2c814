"""Today's work compared with ``baseline.json``: ``python -m benchmarks.guard [--write]``.

Statements of the database for each request and Redis commands for each request, job and run are exact:
one more fails. Instructions of the processor, where ``perf`` counts them, only warn beyond a tenth more.
Times are not compared, as they depend on the machine.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from benchmarks.actions import JOB, write_plugin
from benchmarks.installation import installation
from benchmarks.processes import BIN, ROOT, UNREACHED, environment, running
from benchmarks.queue_seed import add_owners, add_schedules, dispatch_all
from benchmarks.rivals.stamps import count_stamps
from taskapi.background.connection import redis_client
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import Queue
from taskapi.core.db import db
from taskapi.core.ids import new_id
from tests.people import Person, make_person

BASELINE = Path(__file__).parent / "baseline.json"
RUNS, WARM_UP = 20, 5
FEW, MANY, DUE = 20, 120, 100
LONG = 300.0
# As in production: limits are counted.
COUNTED = {"RATE_LIMIT_DEFAULT": UNREACHED}
MORE = 1.10
Counts = dict[str, float]


@contextmanager
def counted_statements(app: Flask) -> Iterator[list[str]]:
    """The statements that the block sends, and the ends of its transactions."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(str(arguments[2]))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def redis_commands(redis: Redis) -> int:
    """How many commands the server has done so far."""
    info: Any = redis.info("commandstats")
    return sum(int(one["calls"]) for name, one in info.items() if name != "cmdstat_info")


def requests(person: Person) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    made = person.post("/api/tasks", {"title": "Tea"}).json
    return {
        "list": lambda: person.get("/api/tasks?status=todo&sort=-created_at&per_page=20"),
        "one task": lambda: person.get(f"/api/tasks/{made['id']}"),
        "create": lambda: person.post("/api/tasks", {"title": "Tea", "priority": "high"}),
        "own account": lambda: person.get("/api/auth/me"),
        "health": lambda: person.get("/health"),
    }


def count_requests(app: Flask, *, cached: bool) -> Counts:
    """Statements and Redis commands of each kind of request, after the first ones."""
    person = make_person(app, "somebody@example.org")
    with app.app_context():
        redis = redis_client()
    found: Counts = {}
    for name, ask in requests(person).items():
        for _ in range(WARM_UP):
            ask()
        before = redis_commands(redis)
        with counted_statements(app) as sent:
            for _ in range(RUNS):
                ask()
        words = f"{name}, {'cached' if cached else 'uncached'}"
        found[f"{words}: statements"] = len(sent) / RUNS
        found[f"{words}: Redis commands"] = (redis_commands(redis) - before) / RUNS
    return found


def count_jobs(app: Flask) -> Counts:
    """Redis commands and transactions of a job and of a run: what a longer queue costs more."""
    with app.app_context():
        redis = redis_client()
    found: Counts = {}
    for name, fill in {"job": fill_jobs, "run": fill_runs}.items():
        few, many = (cost_of(app, redis, fill, number) for number in (FEW, MANY))
        for what, less, more in zip(("Redis commands", "transactions"), few, many, strict=True):
            # To the nearest half: now and then a worker says that it lives.
            found[f"{name}: {what}"] = round(2 * (more - less) / (MANY - FEW)) / 2
    return found


def cost_of(app: Flask, redis: Redis, fill: Callable[[Flask, int], None], number: int) -> tuple[int, int]:
    """Redis commands and transactions of a worker that does so much and ends."""
    fill(app, number)
    own = app.extensions["taskapi_settings"]
    stamps = own.data_dir / "stamps"
    path = os.pathsep.join((str(ROOT), str(own.data_dir / "plugin")))
    variables = environment(app, BENCHMARK_STAMPS=str(stamps), PYTHONPATH=path)
    before = redis_commands(redis), transactions(app)
    stamped = count_stamps(stamps)
    with running((BIN / "flask", "worker", "--burst"), variables, own.data_dir / "guard.out") as worker:
        assert worker.wait(LONG) == 0
    assert count_stamps(stamps) == stamped + number
    return redis_commands(redis) - before[0], transactions(app) - before[1]


def fill_jobs(app: Flask, number: int) -> None:
    calls = [JobCall(name=JOB, args=["0"], job_id=f"plain-{new_id()}") for _ in range(number)]
    with app.app_context():
        assert enqueue(Queue.RUNS, calls)


def fill_runs(app: Flask, number: int) -> None:
    add_schedules(app, number, first=time.time() - 5)
    dispatch_all(app)


def transactions(app: Flask) -> int:
    """How many the database has ended so far."""
    statement = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with app.app_context(), db.engine.connect() as connection:
        return int(connection.exec_driver_sql(statement).scalar_one())


def count_dispatch(app: Flask) -> Counts:
    """Statements of turning a hundred due times into queued runs."""
    fill_runs(app, DUE)
    add_schedules(app, DUE, first=time.time() - 5)
    with counted_statements(app) as sent:
        dispatch_all(app)
    return {f"dispatch of {DUE}: statements": float(len(sent))}


def count_instructions(app: Flask) -> Counts:
    """Instructions of this process for each kind of request, in thousands."""
    person = make_person(app, "somebody.else@example.org")
    found: Counts = {}
    for name, ask in requests(person).items():
        for _ in range(WARM_UP):
            ask()
        few, many = (instructions(ask, number) for number in (FEW, MANY))
        found[f"{name}: thousand instructions"] = round((many - few) / (MANY - FEW) / 1000)
    return found


def instructions(ask: Callable[[], object], number: int) -> int:
    """Instructions of this process while it asks so often."""
    command = ["perf", "stat", "-e", "instructions:u", "-x", ",", "-p", str(os.getpid())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as perf:
        # Until it counts; this process does nothing meanwhile, and what it does is in both figures.
        time.sleep(0.5)
        for _ in range(number):
            ask()
        perf.send_signal(signal.SIGINT)
        _, told = perf.communicate()
    return int(told.split(",", 1)[0])


def why_not_perf() -> str | None:
    """Why instructions cannot be counted here, if they cannot."""
    if shutil.which("perf") is None:
        return "perf is not installed"
    command = ["perf", "stat", "-e", "instructions:u", "-x", ",", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.stderr.split(",", 1)[0].isdigit() else "perf counts no instructions here"


def measure() -> Counts:
    found: Counts = {}
    for cached in (False, True):
        with installation(CACHE_TTL="300" if cached else "0", WEATHER="off", **COUNTED) as app:
            found |= count_requests(app, cached=cached)
            if cached and why_not_perf() is None:
                found |= count_instructions(app)
    with installation(WEATHER="off", USER_RUNS_AT_ONCE="100000") as app:
        write_plugin(app.extensions["taskapi_settings"].data_dir / "plugin")
        add_owners(app)
        found |= count_jobs(app)
        found |= count_dispatch(app)
    return found


def compare(baseline: Counts, found: Counts) -> tuple[list[str], list[str]]:
    """What has become worse: what fails, and what is only worth a look."""
    failures, warnings = [], []
    for name, before in baseline.items():
        now = found.get(name)
        if now is None:
            # Instructions cannot be counted everywhere.
            failures += [] if name.endswith("instructions") else [f"{name}: not counted any more"]
            continue
        if now <= before:
            continue
        words = f"{name}: {before:g} before, {now:g} now"
        if name.endswith("instructions"):
            warnings += [words] if now > before * MORE else []
        else:
            failures.append(words)
    for name in found.keys() - baseline.keys():
        (warnings if name.endswith("instructions") else failures).append(f"{name}: not kept yet, see --write")
    return failures, warnings


@click.command()
@click.option("--write", is_flag=True, help="Keep what is found as the new baseline.")
def command(write: bool) -> None:
    """Count, and compare with what is kept."""
    found = measure()
    if write:
        BASELINE.write_text(f"{json.dumps(found, indent=1)}\n")
    baseline: Counts = json.loads(BASELINE.read_text())
    for name, value in found.items():
        click.echo(f"{name:<46} {baseline.get(name, 0):>8g} {value:>8g}")
    if reason := why_not_perf():
        click.echo(f"instructions are left out: {reason}")
    failures, warnings = compare(baseline, found)
    for words in warnings:
        click.echo(f"worth a look: {words}", err=True)
    for words in failures:
        click.echo(f"not as kept: {words}", err=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    command()
