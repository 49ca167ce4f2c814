"""The API beside FastAPI, Django REST and Flask: ``python -m benchmarks.http [--quick]``.

All are asked the same by turns, a few seconds each, the order reversed every other round; a ratio is of
two neighbours in one round, so that what else the machine does meets both.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from typing import Any

import click
from flask import Flask

from benchmarks.http_seed import PAGE, PER_STATUS, Data, forget_new, seed_ours, seed_theirs
from benchmarks.http_stacks import LIFETIME, OURS, OURS_UNCACHED, Stack, all_stacks, scheduler
from benchmarks.installation import installation, servers
from benchmarks.load import Plan, Result, ask, median_of, request
from benchmarks.processes import RIVALS, rivals_database
from benchmarks.results import ratio, save, table, versions

LIST = "/api/tasks?status=in_progress&sort=-created_at&per_page=20"
TEXT = "What is to be done, by whom and why: ask, note, send. " * 3
OUR_PACKAGES = ("gunicorn", "flask", "flask-smorest", "sqlalchemy", "psycopg", "redis", "hiredis", "orjson")
THEIR_PACKAGES = (
    *("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "asyncpg", "django"),
    *("djangorestframework", "djangorestframework-simplejwt", "flask", "flask-smorest", "flask-sqlalchemy"),
    *("flask-jwt-extended", "marshmallow", "sqlalchemy", "psycopg", "gunicorn"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured: rows, seconds of each run, rounds, and how many connections ask."""

    users: int = 10_000
    tasks: int = 200_000
    warm_up: float = 1.0
    seconds: float = 3.0
    rounds: int = 3
    connections: tuple[int, ...] = (16, 64)


QUICK = Sizes(users=1_000, tasks=50_000, warm_up=0.5, seconds=1.0, rounds=1, connections=(16,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is asked of which of our two set-ups, and what runs beside."""

    name: str
    ours: str
    requests: Callable[[Data], list[str]]
    statuses: tuple[int, ...] = (200,)
    relayed: bool = False
    writes: bool = False


def list_requests(data: Data) -> list[str]:
    return [request("GET", LIST, data.tokens[0])]


def get_requests(data: Data) -> list[str]:
    return [request("GET", f"/api/tasks/{one}", data.tokens[0]) for one in data.task_ids]


def create_request(data: Data, token: str, **headers: str) -> str:
    body = {
        "title": "Prepare the invoice of the month",
        "description": TEXT,
        "status": "in_progress",
        "priority": "high",
        "due_date": "2099-04-01T09:00:00Z",
        "notify_overdue": True,
        "assignee_id": data.creator,
        "external_id": None,
        "city": "Lisbon",
    }
    return request("POST", "/api/tasks", token, body, **headers)


def create_requests(data: Data) -> list[str]:
    return [create_request(data, data.tokens[1])]


def create_with_event_requests(data: Data) -> list[str]:
    """taskapi always writes an event; the others do when they are told to."""
    return [create_request(data, data.tokens[1], **{"X-Event": "yes"})]


def mixed_requests(data: Data) -> list[str]:
    """Of ten requests of forty people nine read their list, one makes a task."""
    forty = data.tokens[2:]
    reads = [request("GET", LIST, token) for token in forty]
    return [*reads * 9, *(create_request(data, token) for token in forty)]


SCENARIOS = (
    Scenario(name="list, uncached", ours=OURS_UNCACHED, requests=list_requests),
    Scenario(name="list, cached", ours=OURS, requests=list_requests),
    Scenario(name="one task", ours=OURS, requests=get_requests),
    Scenario(
        name="create, events relayed",
        ours=OURS,
        requests=create_requests,
        statuses=(201,),
        relayed=True,
        writes=True,
    ),
    Scenario(
        name="create, all with an event",
        ours=OURS,
        requests=create_with_event_requests,
        statuses=(201,),
        writes=True,
    ),
    Scenario(name="create", ours=OURS, requests=create_requests, statuses=(201,), writes=True),
    Scenario(
        name="90 % list, 10 % create",
        ours=OURS,
        requests=mixed_requests,
        statuses=(200, 201),
        writes=True,
    ),
)
Figures = dict[str, list[Result]]


def measure(
    app: Flask, stacks: dict[str, Stack], scenario: Scenario, connections: int, sizes: Sizes
) -> Figures:
    """The results of each server, round by round, asked by turns."""
    turns = [scenario.ours, *(name for name in stacks if name not in (OURS, OURS_UNCACHED))]
    figures: Figures = {name: [] for name in turns}
    for number in range(sizes.rounds):
        for name in turns if number % 2 == 0 else reversed(turns):
            result = ask_one(app, stacks[name], scenario, connections, sizes)
            figures[name].append(result)
            click.echo(
                f"{scenario.name:<24} {connections:>3}  {name:<22} {result.per_second:>8.0f}/s", err=True
            )
    return figures


def ask_one(app: Flask, stack: Stack, scenario: Scenario, connections: int, sizes: Sizes) -> Result:
    is_ours = stack.name == scenario.ours
    beside: AbstractContextManager[None] = nullcontext()
    if scenario.relayed and is_ours:
        beside = scheduler(app)
    begun = time.time()
    with beside:
        ask(_plan(stack, scenario, connections, sizes.warm_up))
        result = ask(_plan(stack, scenario, connections, sizes.seconds))
    if scenario.writes:
        forget_new(stack.data.url, begun)
    return result


def _plan(stack: Stack, scenario: Scenario, connections: int, seconds: float) -> Plan:
    return Plan(
        port=stack.port,
        connections=connections,
        seconds=seconds,
        requests=scenario.requests(stack.data),
        statuses=list(scenario.statuses),
        contains='"title"',
    )


def better_of(app: Flask, stacks: dict[str, Stack], sizes: Sizes) -> dict[str, Stack]:
    """Of gunicorn's two kinds of workers the one with which each rival's list is faster."""
    chosen = dict(stacks)
    for name in ("Django REST", "Flask"):
        kinds = [stacks[f"{name}, {kind}"] for kind in ("sync", "gthread")]
        results = {one.name: ask_one(app, one, SCENARIOS[0], 16, sizes) for one in kinds}
        best = max(results, key=lambda kind: results[kind].per_second)
        click.echo(f"{name}: {best}", err=True)
        for one in kinds:
            del chosen[one.name]
        chosen[name] = Stack(name=best, port=stacks[best].port, data=stacks[best].data)
    return chosen


def same_answers(stacks: dict[str, Stack]) -> None:
    """Refuse to compare servers that do not answer the same."""
    pages: list[Any] = []
    for stack in stacks.values():
        page = fetch(stack, LIST)
        items = page.get("items") or page["results"]
        assert len(items) == PAGE, stack.name
        assert page.get("total", page.get("count")) == PER_STATUS, stack.name
        pages.append([(item["title"], item["status"], item["description"]) for item in items])
        assert fetch(stack, f"/api/tasks/{stack.data.task_ids[0]}")["title"], stack.name
    assert all(page == pages[0] for page in pages), "the pages differ"


def fetch(stack: Stack, path: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {stack.data.tokens[0]}"})
    answer = connection.getresponse()
    assert answer.status == 200, (stack.name, answer.status, answer.read())
    found: dict[str, Any] = json.loads(answer.read())
    connection.close()
    return found


def rows_of(scenario: Scenario, connections: int, figures: Figures) -> Iterator[Sequence[str]]:
    """Of each server: answers a second, p50 and p99, and how many times taskapi is it."""
    ours = [result.per_second for result in figures[scenario.ours]]
    for name, results in figures.items():
        middle = median_of(results)
        theirs = [result.per_second for result in results]
        yield (
            f"{scenario.name}, {connections}",
            OURS if name == scenario.ours else name,
            f"{middle.per_second:,.0f}",
            f"{middle.p50:.1f} / {middle.p99:.1f}",
            "" if name == scenario.ours else ratio(ours, theirs),
        )


@click.command()
@click.option("--quick", is_flag=True, help="Few rows, one short round: only to see that it works.")
@click.option("--only", help="Only scenarios whose name begins so.", default="")
def command(quick: bool, only: str) -> None:
    """Measure, print the table, and keep it."""
    sizes = QUICK if quick else Sizes()
    rows: list[Sequence[str]] = []
    kept: dict[str, dict[str, list[dict[str, float]]]] = {}
    with installation(**LIFETIME) as app:
        both = servers(app)
        theirs = seed_theirs(rivals_database(app), users=sizes.users, tasks=sizes.tasks)
        ours = seed_ours(app, users=sizes.users, tasks=sizes.tasks)
        with all_stacks(app, ours, theirs) as every:
            same_answers(every)
            stacks = better_of(app, every, sizes)
            for scenario in (one for one in SCENARIOS if one.name.startswith(only)):
                for connections in sizes.connections:
                    figures = measure(app, stacks, scenario, connections, sizes)
                    rows += rows_of(scenario, connections, figures)
                    kept[f"{scenario.name}, {connections}"] = {
                        name: [asdict(result) for result in results] for name, results in figures.items()
                    }
    head = ("scenario, connections", "server", "answers/s", "p50 / p99, ms", "taskapi is so many times that")
    rivals = versions(THEIR_PACKAGES, RIVALS / "python")
    used = f"{both}. taskapi: {versions(OUR_PACKAGES)}. Rivals: {rivals}."
    save("http", {"HTTP": f"{table(head, rows)}\n\n{used}"}, kept)


if __name__ == "__main__":
    command()
