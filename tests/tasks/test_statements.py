"""What the calls for tasks cost the database: the statements that are sent, but for COMMIT."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from psycopg import RawCursor

from taskapi.core import clock
from taskapi.core.compiled import numbered
from taskapi.core.db import db
from taskapi.tasks import pages
from tests.people import Person
from tests.tasks.making import make_task, path_of


@contextmanager
def sent_to(app: Flask) -> Iterator[list[str]]:
    """The first words of what is sent to the database; what finds out who calls is left out."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if " sessions " not in statement:
            sent.append(" ".join(statement.split()[:3]))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@contextmanager
def db_commands() -> Iterator[list[str]]:
    """The commands around statements that go to PostgreSQL by the driver: BEGIN, COMMIT, ROLLBACK."""
    said: list[str] = []
    given = psycopg.Connection._exec_command

    def note(connection: Any, command: Any, *others: Any, **more: Any) -> Any:
        said.append(str(command))
        return given(connection, command, *others, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "_exec_command", note)
        yield said


@pytest.fixture
def busy(owner: Person, teammate: Person) -> dict[str, Any]:
    """A task with tags and a comment, beside others."""
    task = make_task(owner, title="busy", tags=["home", "garden"], assignee_id=str(teammate.id))
    owner.post(f"{path_of(task)}/comments", {"content": "Soon"})
    make_task(owner, title="other")
    # What is prepared by the first call of its kind is there.
    for path in ("/api/tasks", "/api/tasks?status=todo", path_of(task)):
        owner.get(path)
    return task


@pytest.mark.parametrize("query", ["", "?status=todo", "?status=todo&priority=medium&sort=created_at&page=1"])
def test_a_page_of_ones_own_tasks_with_their_total_is_one_statement(
    app: Flask, owner: Person, busy: dict[str, Any], query: str
) -> None:
    with sent_to(app) as sent:
        answer = owner.get(f"/api/tasks{query}")
    assert (answer.json["total"], len(answer.json["items"])) == (2, 2)
    assert [words for words in sent if words.startswith("SELECT")] == sent[-1:]


@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("whose", ["many", "few"])
def test_a_page_walks_along_an_index_whoever_has_most_of_the_tasks(
    app: Flask, owner: Person, teammate: Person, whose: str
) -> None:
    for start in range(0, 900, 300):
        tasks = [{"title": f"task {number}"} for number in range(start, start + 300)]
        owner.post("/api/tasks/bulk", {"tasks": tasks})
    make_task(teammate)
    person = owner if whose == "many" else teammate
    with app.app_context():
        here = {"since": clock.now(), "key": person.id}
        words = {"me": person.id, "skipped": 0, "more": 21, "reached": 21, "status_0": "todo", **here}
        # Behind a cursor nothing is counted.
        statement = numbered(db.engine.dialect, pages._walk, (True, True, (("status", 1),)))
        with db.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE tasks")
            driver = RawCursor(cast(Any, connection.connection.driver_connection))
            plan = str(driver.execute(f"EXPLAIN {statement.text}", statement.values(words)).fetchall())
    assert "ix_tasks_" in plan
    assert "Seq Scan on tasks" not in plan, plan


def test_a_task_with_its_tags_and_comments_is_one_statement(
    app: Flask, owner: Person, busy: dict[str, Any]
) -> None:
    with sent_to(app) as sent:
        answer = owner.get(path_of(busy))
    assert (len(answer.json["tags"]), len(answer.json["comments"])) == (2, 1)
    assert len([words for words in sent if words.startswith("SELECT")]) == 1


def test_making_a_task_reads_nothing_that_was_written(app: Flask, owner: Person) -> None:
    make_task(owner)
    with sent_to(app) as sent:
        make_task(owner, external_id="one that may be taken")
    kinds = [words.split()[0] + " " + words.split()[-1] for words in sent if not words.startswith("BEGIN")]
    # That the account is open is read, under a lock, and whether the outside id is known.
    assert [kind.split()[0] for kind in kinds] == ["SELECT", "SELECT", "INSERT", "INSERT", "INSERT"]
    assert kinds[2:] == ["INSERT tasks", "INSERT task_words", "INSERT events"]


@pytest.mark.one_database("postgresql")
def test_making_a_task_is_one_statement_and_a_transaction_by_itself(
    app: Flask, owner: Person, teammate: Person
) -> None:
    make_task(owner)
    with sent_to(app) as sent, db_commands() as commands:
        task = make_task(owner, assignee_id=str(teammate.id))
    assert [words.split()[0] for words in sent] == ["WITH"]
    assert commands == []
    assert teammate.get(path_of(task)).status_code == 200


def test_all_events_of_a_transaction_are_one_statement_at_its_end(app: Flask, owner: Person) -> None:
    make_task(owner)
    with sent_to(app) as sent:
        tasks = {"tasks": [{"title": "first"}, {"title": "second"}, {"title": "third"}]}
        assert owner.post("/api/tasks/bulk", tasks).status_code == 201
    assert [words for words in sent if words.startswith("INSERT")] == [
        *("INSERT INTO tasks", "INSERT INTO task_words", "INSERT INTO events"),
    ]
    assert sent[-1] == "INSERT INTO events"
