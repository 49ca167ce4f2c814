"""How long lists, searches and figures of tasks take with ten thousand tasks, and with a million.

``python -m benchmarks.tasks [few] [many]`` prints the 95th percentile of each call and their ratio,
and fails when a ratio is 3 or more, but for administrators, whose figures are over all tasks. A user
has a thousand tasks in both, a newcomer none. With ``--explain`` it prints how the database finds
them; ``--database sqlite`` asks the other one.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import click
import sqlalchemy as sa
from flask import Flask

from benchmarks.installation import installation
from benchmarks.measuring import percentile
from taskapi.accounts import sign_in
from taskapi.accounts.models import User
from taskapi.core.db import db, session, transaction
from taskapi.core.runtime import runtime_settings
from taskapi.ops.demo.crowd import make_crowd
from tests.people import PASSWORD_HASH, Person, make_person

FEW, MANY, TASKS_OF_A_PERSON = 10_000, 1_000_000, 1_000
WORST_RATIO = 3.0


def seed(app: Flask, tasks: int) -> dict[str, Person]:
    """A crowd with so many tasks: one of them, somebody who has no task, and an administrator."""
    with app.app_context():
        people = max(tasks // TASKS_OF_A_PERSON, 1)
        for _ in make_crowd(people=people, tasks=tasks, seed=1, password_hash=PASSWORD_HASH):
            pass
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET statement_timeout = 0")
                connection.exec_driver_sql("VACUUM ANALYZE")
            else:
                connection.exec_driver_sql("ANALYZE")
    newcomer = make_person(app, "newcomer@example.org")
    return {
        "user": one_of_the_crowd(app),
        "newcomer": newcomer,
        "admin": make_person(app, "admin@example.org", role="admin"),
    }


def one_of_the_crowd(app: Flask) -> Person:
    with app.app_context():
        with transaction():
            user = session().scalars(sa.select(User).where(User.username.like("crowd-%")).limit(1)).one()
            pair = sign_in.start_session(settings=runtime_settings(), user_id=user.id)
        actor = sign_in.authenticate(pair.access_token)
    return Person(user.id, user.email, actor, pair.access_token, pair.refresh_token, app.test_client())


def calls(person: Person) -> Iterator[tuple[str, str]]:
    """Name and address of each kind of call."""
    queries: tuple[dict[str, Any], ...] = (
        *({}, {"status": "todo"}, {"status": ["todo", "overdue"]}, {"priority": "urgent"}, {"tag": "garden"}),
        *({"assignee_id": person.id}, {"creator_id": person.id}, {"user_id": person.id}),
        *({"due_after": "2026-01-01"}, {"created_before": "2026-01-01"}, {"date": "2026-01-01"}),
        *({"overdue": "true"}, {"q": "invoice"}, {"q": "prep inv"}, {"q": "muller"}, {"q": "the"}),
        *({"q": "nowhere"}, {"q": "invoice", "status": "todo", "tag": "garden", "sort": "priority"}),
        *(
            {"sort": sort}
            for sort in ("created_at", "updated_at", "-due_date", "-priority", "title", "status")
        ),
    )
    for query in queries:
        yield urlencode(query, doseq=True) or "first page", f"/api/tasks?{urlencode(query, doseq=True)}"
    middle = person.get("/api/tasks?per_page=1&page=400").json["next_cursor"]
    if middle is not None:
        yield "deep cursor", f"/api/tasks?cursor={middle}"
    for task in person.get("/api/tasks?per_page=1").json["items"]:
        yield "one task", f"/api/tasks/{task['id']}"
        yield "its history", f"/api/tasks/{task['id']}/history"
    yield "analytics", "/api/analytics"
    yield "analytics of a month", "/api/analytics?start_date=2026-03-01&end_date=2026-03-31"
    yield "overview", "/api/analytics/overview"
    yield "performance", "/api/analytics/performance"
    for interval in ("day", "week", "month"):
        yield f"trends by {interval}", f"/api/analytics/trends?interval={interval}"


def measure(database: str, tasks: int) -> dict[str, float]:
    """Milliseconds of each kind of call, for a user and for an administrator; nothing is cached."""
    with installation(database, CACHE_TTL="0", WEATHER="off") as app:
        return {
            f"{who}: {name}": percentile(person, address)
            for who, person in seed(app, tasks).items()
            for name, address in calls(person)
        }


def explain(database: str, tasks: int) -> None:
    """Print how the database finds what each kind of call asks of tasks."""
    with installation(database, CACHE_TTL="0", WEATHER="off") as app:
        for who, person in seed(app, tasks).items():
            for name, address in calls(person):
                with app.app_context(), statements() as found:
                    person.get(address)
                    click.echo(f"\n{who}: {name}")
                    for statement, values in found:
                        click.echo(plan_of(statement, values))


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """The statements about tasks that the block sends."""
    found: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")) and "tasks" in statement:
            found.append((statement, values))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def plan_of(statement: str, values: Any) -> str:
    """The plan, a line for each step."""
    with db.engine.connect() as connection:
        words = "EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF)"
        if connection.dialect.name == "sqlite":
            words = "EXPLAIN QUERY PLAN"
        rows = connection.exec_driver_sql(f"{words} {statement}", values).all()
        return "\n".join(f"    {row[-1]}" for row in rows)


@click.command()
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql")
@click.option("--explain", "explains", is_flag=True, help="Print the plans for the many tasks.")
@click.argument("few", type=int, default=FEW)
@click.argument("many", type=int, default=MANY)
def command(database: str, explains: bool, few: int, many: int) -> None:
    if explains:
        explain(database, many)
        return
    before, after = measure(database, few), measure(database, many)
    click.echo(f"p95 in ms, {database:<46} {few:>10,} {many:>10,}  ratio")
    ratios = {name: milliseconds / before[name] for name, milliseconds in after.items()}
    for name, ratio in ratios.items():
        click.echo(f"{name:<57} {before[name]:>10.1f} {after[name]:>10.1f} {ratio:>6.2f}")
    sys.exit(any(ratio >= WORST_RATIO for name, ratio in ratios.items() if not name.startswith("admin")))


if __name__ == "__main__":
    command()
