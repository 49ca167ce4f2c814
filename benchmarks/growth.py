"""The same calls with ten thousand runs and tasks and with a million: ``python -m benchmarks.growth``.

``--largest`` goes on to ten million runs afterwards, ``--quick`` only tries whether it works. Medians of
40 requests, with nothing cached: a page, and what follows a cursor 10,000 pages on (or halfway through).
Old runs are forgotten meanwhile by a process of its own.
"""

import statistics
import time
from collections.abc import Sequence
from uuid import UUID

import click
from flask import Flask

from benchmarks.forgetting import beside_others
from benchmarks.history import seed
from benchmarks.http_seed import seed_ours
from benchmarks.installation import installation
from benchmarks.measuring import REQUESTS
from benchmarks.results import load, save, table
from taskapi.accounts import service as accounts
from taskapi.accounts import sign_in
from tests.people import Person, make_person

SIZES, LARGEST, QUICK = (10_000, 100_000, 1_000_000), 10_000_000, (4_000, 10_000)
DEEP, PER_PAGE = 10_000, 20
TASKS_OF_A_USER, FEWEST_USERS = 20, 100
# Who was signed in before ten million rows were written is so afterwards.
SETTINGS = {"CACHE_TTL": "0", "WEATHER": "off", "ACCESS_TOKEN_EXPIRE_MINUTES": "1440"}
Figures = dict[str, float]


def median_time(person: Person, address: str) -> float:
    """Milliseconds of the middle one of the answers."""
    times = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        answer = person.get(address)
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    return statistics.median(times)


def times_of(who: str, person: Person, path: str, number: int) -> Figures:
    """Milliseconds of the first page, of a deep one by its cursor, and of one thing, of so many."""
    page = max(min(DEEP, number // PER_PAGE // 2), 1)
    deep = person.get(f"{path}?per_page={PER_PAGE}&page={page}").json
    return {
        f"{who}: page 1": median_time(person, path),
        f"{who}: cursor": median_time(person, f"{path}?cursor={deep['next_cursor']}"),
        f"{who}: one": median_time(person, f"{path}/{deep['items'][0]['id']}"),
    }


def measure_runs(number: int) -> tuple[Figures, Figures]:
    """Milliseconds of each call with so many runs; and of who reads and writes while some are forgotten."""
    with installation(**SETTINGS) as app:
        people = seed(app, number)
        # A quarter and more is the user's.
        times = {
            **times_of("a user", people["user"], "/api/runs", number // 4),
            **times_of("an administrator", people["admin"], "/api/runs", number),
        }
        schedule = UUID(people["user"].get("/api/schedules?per_page=1").json["items"][0]["id"])
        return times, beside_others(app, people["user"], schedule, number)


def measure_tasks(number: int) -> Figures:
    """Milliseconds of each call with so many tasks, of which a user has up to 5,000."""
    with installation(**SETTINGS) as app:
        users = max(number // TASKS_OF_A_USER, FEWEST_USERS)
        user = person_of(app, seed_ours(app, users=users, tasks=number).tokens[0])
        theirs = user.get("/api/tasks?per_page=1").json["total"]
        admin = make_person(app, "admin@example.org", role="admin")
        return {
            **times_of("a user", user, "/api/tasks", theirs),
            **times_of("an administrator", admin, "/api/tasks", number),
        }


def person_of(app: Flask, token: str) -> Person:
    """Whom a token belongs to."""
    with app.app_context():
        actor = sign_in.authenticate(token)
        email = accounts.get_user(user_id=actor.user_id).email
    return Person(actor.user_id, email, actor, token, "", app.test_client())


def table_of(head: str, figures: dict[int, Figures]) -> str:
    """A line for each call, a column for each size."""
    sizes = sorted(figures)
    rows = [(name, *(f"{figures[size][name]:,.1f}" for size in sizes)) for name in figures[sizes[0]]]
    return table((head, *(f"{size:,}" for size in sizes)), rows)


@click.command()
@click.option("--quick", is_flag=True, help="Few runs and tasks: only to see that it works.")
@click.option("--largest", is_flag=True, help="Only ten million runs, which needs 20 GB and half an hour.")
def command(quick: bool, largest: bool) -> None:
    """Measure, print the tables, and keep them beside those of other sizes."""
    sizes: Sequence[int] = QUICK if quick else SIZES
    found: dict[str, dict[int, Figures]] = {"runs": {}, "tasks": {}, "forgetting": {}}
    if not quick and (before := load("growth")):
        for kind, each in before["figures"].items():
            found[kind] = {int(size): figures for size, figures in each.items()}
    for size in (LARGEST,) if largest else sizes:
        found["runs"][size], found["forgetting"][size] = measure_runs(size)
        click.echo(f"{size:,} runs: {found['runs'][size]}", err=True)
    if not largest:
        found["tasks"] |= {size: measure_tasks(size) for size in sizes}
    titles = {
        "Median by number of runs, ms": ("runs", "runs"),
        "Median by number of tasks, ms": ("tasks", "tasks"),
        "While old runs are forgotten, ms": ("runs", "forgetting"),
    }
    tables = {title: table_of(head, found[kind]) for title, (head, kind) in titles.items() if found[kind]}
    save("growth", tables, found)


if __name__ == "__main__":
    command()
