"""Jobs, runs and due times beside Celery, RQ and rq-scheduler: ``python -m benchmarks.queues [--quick]``.

Two worker processes each, by turns, the order reversed every other round. Every job of every system
first appends 16 bytes to one file: when it began, and when it was due.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import click
from flask import Flask

from benchmarks.actions import write_plugin
from benchmarks.dispatching import measure_dispatch
from benchmarks.installation import installation, servers
from benchmarks.processes import RIVALS, rivals_database
from benchmarks.queue_seed import add_owners, add_schedules, tidy
from benchmarks.queue_systems import Celery, CeleryApart, Ours, OursRelayed, Rq, System, now
from benchmarks.results import quantile, ratio, save, table, versions
from benchmarks.waiting import measure_waiting

LONG = 600.0
YEAR = 365 * 86_400
OUR_PACKAGES = ("rq", "redis", "hiredis", "sqlalchemy", "psycopg")
THEIR_PACKAGES = ("celery", "kombu", "rq", "rq-scheduler", "redis", "hiredis", "sqlalchemy", "psycopg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many jobs of each system, in how many rounds, and how many schedules are stored beside."""

    rounds: int = 3
    ours: int = 20_000
    celery: int = 10_000
    rq: int = 600
    recorded: int = 5_000
    recorded_rq: int = 300
    burst: int = 2_000
    spread_seconds: int = 20
    stored: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    due: int = 20_000
    calls: int = 100


QUICK = Sizes(
    rounds=1,
    ours=1_000,
    celery=500,
    rq=40,
    recorded=200,
    recorded_rq=20,
    burst=100,
    spread_seconds=4,
    stored=(2_000,),
    due=1_000,
    calls=10,
)
Rates = dict[str, list[float]]
Kinds = Sequence[tuple[type[System], int]]


def drain(system: System, number: int) -> float:
    """Jobs a second between the tenth and the last of a queue that was full when the workers came."""
    system.begin()
    system.fill([now()] * number)
    with system.workers():
        begun = [at for at, _ in system.wait_for(number, LONG)]
    assert len(begun) == number, f"{system.name}: {len(begun)} of {number}"
    first = number // 10
    return (number - 1 - first) / (begun[-1] - begun[first])


def drain_by_turns(systems: Sequence[tuple[System, int]], rounds: int) -> Rates:
    rates: Rates = {system.name: [] for system, _ in systems}
    for place in range(rounds):
        for system, number in systems if place % 2 == 0 else reversed(systems):
            rate = drain(system, number)
            click.echo(f"{system.name:<26} {rate:>8.0f} jobs/s", err=True)
            rates[system.name].append(rate)
    return rates


def rates_table(rates: Rates) -> str:
    ours = rates[Ours.name]
    rows = [
        (name, f"{sorted(each)[len(each) // 2]:,.0f}", "" if name == Ours.name else ratio(ours, each))
        for name, each in rates.items()
    ]
    return table(("two workers", "jobs/s", "taskapi is so many times that"), rows)


def lags(system: System, due: Sequence[float], lead: float) -> list[float]:
    """By how many seconds each job began after it was due, in order; below zero is early.

    Args:
        due: in seconds from now on, which begins ``lead`` seconds later, or more where a busy
            machine takes longer to tell them all.
    """
    with system.timekeeper():
        in_time = False
        while not in_time:
            system.begin()
            start = round(now() + lead, 3)
            system.plan([start + at for at in due])
            in_time, lead = now() < start, lead * 2
            stamps = system.wait_for(len(due), lead + due[-1] + LONG)
    assert len(stamps) == len(due), system.name
    return sorted(begun - at for begun, at in stamps)


def measure_lags(systems: Sequence[System], sizes: Sizes) -> dict[str, dict[str, list[float]]]:
    """Of each way to be due, of each system: its lags, those of all rounds together."""
    ways = {
        f"{sizes.burst:,} in one instant": [0.0] * sizes.burst,
        "50 a second": [number / 50 for number in range(50 * sizes.spread_seconds)],
        "one each 0.7 s": [number * 0.7 for number in range(sizes.spread_seconds)],
    }
    found: dict[str, dict[str, list[float]]] = {}
    for way, due in ways.items():
        found[way] = {system.name: [] for system in systems}
        for place in range(sizes.rounds):
            for system in systems if place % 2 == 0 else reversed(systems):
                # Telling takes its time, a millisecond for each at most.
                each = lags(system, due, lead=4 + len(due) / 1000)
                found[way][system.name] += each
                click.echo(f"{way}, {system.name}: p99 {quantile(each, 0.99) * 1000:.1f} ms", err=True)
        for each in found[way].values():
            each.sort()
    return found


def lags_table(found: dict[str, dict[str, list[float]]]) -> str:
    rows = [
        (
            way,
            name,
            *(
                f"{value * 1000:.1f}"
                for value in (each[0], quantile(each, 0.5), quantile(each, 0.99), each[-1])
            ),
        )
        for way, systems in found.items()
        for name, each in systems.items()
    ]
    return table(("due", "system", "earliest, ms", "p50, ms", "p99, ms", "last, ms"), rows)


@contextmanager
def prepared() -> Iterator[tuple[Flask, str]]:
    """An installation with owners and the measurements' action; and the rivals' database."""
    with installation(USER_RUNS_AT_ONCE="100000") as app:
        write_plugin(app.extensions["taskapi_settings"].data_dir / "plugin")
        add_owners(app)
        yield app, rivals_database(app)


def measure_rates(
    app: Flask, url: str, sizes: Sizes, parts: Sequence[str]
) -> tuple[dict[str, str], dict[str, Rates]]:
    tables, figures = {}, {}
    if "jobs" in parts:
        bare: Kinds = (
            *((Ours, sizes.ours), (Rq, sizes.rq)),
            *((Celery, sizes.celery), (CeleryApart, sizes.celery)),
        )
        rates = drain_by_turns([(kind(app, url, recorded=False), n) for kind, n in bare], sizes.rounds)
        tables["Jobs"], figures["jobs"] = rates_table(rates), rates
    if "runs" in parts:
        kinds: Kinds = (
            *((Ours, sizes.recorded), (OursRelayed, sizes.recorded)),
            *((Celery, sizes.recorded), (CeleryApart, sizes.recorded), (Rq, sizes.recorded_rq)),
        )
        rates = drain_by_turns([(kind(app, url, recorded=True), n) for kind, n in kinds], sizes.rounds)
        tables["Runs"], figures["runs"] = rates_table(rates), rates
    return tables, figures


PARTS = ("jobs", "runs", "waiting", "dispatch", "lag")


@click.command()
@click.option("--quick", is_flag=True, help="Few jobs, one round: only to see that it works.")
@click.option("--rounds", type=int, help="So many rounds in the place of three.")
@click.option("--only", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS)
def command(quick: bool, rounds: int | None, parts: Sequence[str]) -> None:
    """Measure, print the tables, and keep them."""
    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, rounds=rounds or sizes.rounds)
    figures: dict[str, object] = {}
    with prepared() as (app, url):
        both = servers(app)
        tables, rates = measure_rates(app, url, sizes, parts)
        figures.update(rates)
        if "waiting" in parts:
            tables["Calls of 100 ms"], figures["waiting"] = measure_waiting(
                app, rounds=sizes.rounds, number=sizes.calls
            )
    if "dispatch" in parts:
        with prepared() as (app, _):
            tables["Dispatch"], figures["dispatch"] = measure_dispatch(app, sizes.stored, sizes.due)
    if "lag" in parts:
        with prepared() as (app, url):
            add_schedules(app, sizes.stored[-1], first=now() + YEAR, step=1.0)
            tidy(app)
            found = measure_lags(
                [kind(app, url, recorded=True) for kind in (Ours, Celery, CeleryApart, Rq)], sizes
            )
            tables["Lag"], figures["lag"] = lags_table(found), found
    rivals = versions(THEIR_PACKAGES, RIVALS / "python")
    used = f"{both}. taskapi: {versions(OUR_PACKAGES)}. Rivals: {rivals}."
    save("queues", {**tables, "Queue versions": used}, figures)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    command()
