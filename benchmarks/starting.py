"""How long processes take from their command to their first answer or job: ``python -m benchmarks.starting``.

taskapi and its rivals by turns, the order reversed every other round: two web processes until they have
answered a request, two workers until a job that waited for them has begun.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

import click
from flask import Flask

from benchmarks.actions import write_plugin
from benchmarks.http_seed import Data
from benchmarks.http_stacks import RIVAL_COMMANDS, ours, rival
from benchmarks.installation import installation
from benchmarks.processes import rivals_database
from benchmarks.queue_seed import add_owners
from benchmarks.queue_systems import Celery, Ours, Rq, System, now
from benchmarks.results import ratio, save, table

ROUNDS = 5
Times = dict[str, list[float]]


def answering(app: Flask, name: str, data: Data) -> float:
    """Seconds until two web processes answer."""
    begun = time.perf_counter()
    with ours(app, name, data) if name == Ours.name else rival(app, name, data):
        return time.perf_counter() - begun


def working(system: System) -> float:
    """Seconds until two workers have begun with what waited for them."""
    system.begin()
    system.fill([now()] * 2)
    begun = time.time()
    with system.workers():
        return min(at for at, _ in system.wait_for(2, 60.0)) - begun


def by_turns(measures: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """The seconds of each, after a first round that counts for nothing: it compiles and fills caches."""
    times: Times = {name: [] for name in measures}
    for place in range(rounds + 1):
        for name in list(measures) if place % 2 == 0 else reversed(list(measures)):
            seconds = measures[name]()
            click.echo(f"{name:<24} {seconds:.2f} s", err=True)
            if place:
                times[name].append(seconds)
    return times


def table_of(what: str, times: Times) -> str:
    """The middle of each, and how many times as long as taskapi's a rival's is."""
    mine = times[Ours.name]
    rows = [
        (name, f"{sorted(each)[len(each) // 2]:.2f}", "" if name == Ours.name else ratio(each, mine))
        for name, each in times.items()
    ]
    return table((what, "median, s", "so many times as long as taskapi"), rows)


@click.command()
@click.option("--rounds", default=ROUNDS, help=f"How often each is started, {ROUNDS} by default.")
def command(rounds: int) -> None:
    """Measure, print the tables, and keep them."""
    with installation() as app:
        add_owners(app)
        write_plugin(app.extensions["taskapi_settings"].data_dir / "plugin")
        url = rivals_database(app)
        data = Data(url=url, tokens=[], creator="", task_ids=[])
        names = (Ours.name, *RIVAL_COMMANDS)
        web = by_turns({name: partial(answering, app, name, data) for name in names}, rounds)
        systems = [kind(app, url, recorded=False) for kind in (Ours, Celery, Rq)]
        work = by_turns({one.name: partial(working, one) for one in systems}, rounds)
    tables = {
        "Web, two processes, until they answer": table_of("web", web),
        "Two workers, until the first job begins": table_of("worker", work),
    }
    save("starting", tables, {"web": web, "worker": work})


if __name__ == "__main__":
    command()
