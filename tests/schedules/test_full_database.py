"""The database's disk is full: what is read goes on, changes are refused, and due times wait."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskapi.core.db import db, session
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make
from tests.tasks.making import make_task
from tests.work import dispatch_all

# What PostgreSQL says of a full disk, from a trigger: a disk of its own would need rights over the machine.
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE disk_full USING MESSAGE = 'could not extend file "base/16384/16385": No space left on device';
END $$
"""
WORDS = {"sqlite": "database or disk is full", "postgresql": "No space left on device"}
# More than fit into what is left of pages that are in use.
MANY = 20

Full = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full(context: Flask) -> Full:
    """Inside the block there is no room for a new task, nor for the runs of many schedules."""
    return _full_sqlite if db.engine.dialect.name == "sqlite" else _full_postgresql


@contextmanager
def _full_sqlite() -> Iterator[None]:
    def limit(connection: sa.engine.interfaces.DBAPIConnection, *_others: object) -> None:
        # It becomes the size that the file has.
        connection.execute("PRAGMA max_page_count = 1")

    db.session.remove()
    connection = db.engine.raw_connection()
    # Or what other tests have deleted would be taken first.
    connection.execute("VACUUM")
    connection.close()
    sa.event.listen(db.engine, "checkout", limit)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "checkout", limit)
        db.session.remove()
        db.engine.dispose()


@contextmanager
def _full_postgresql() -> Iterator[None]:
    tables = ("tasks", "runs")
    with db.engine.begin() as connection:
        connection.execute(sa.text(REFUSE))
        for table in tables:
            create = (
                f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
            connection.execute(sa.text(create))
    try:
        yield
    finally:
        db.session.remove()
        with db.engine.begin() as connection:
            connection.execute(sa.text("DROP FUNCTION refuse CASCADE"))


def test_reading_goes_on_and_a_change_is_answered_that_the_database_cannot(full: Full, owner: Person) -> None:
    make_task(owner, title="Tea")
    with full():
        with capture_logs() as lines:
            answer = owner.post("/api/tasks", {"title": "Coffee", "description": "x" * 20_000})
        read = owner.get("/api/tasks?sort=title")
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert [task["title"] for task in read.json["items"]] == ["Tea"]
    (line,) = (line for line in lines if line["event"] == "database.unavailable")
    assert WORDS[db.engine.dialect.name] in line["error"]
    assert make_task(owner, title="Coffee")


def test_due_times_wait_and_no_schedule_is_set_aside_for_it(full: Full, owner: Person, time: Time) -> None:
    for _ in range(MANY):
        make(owner, every=3600, notify=[])
    time.pass_(hours=1)
    words = WORDS[db.engine.dialect.name]
    with full(), capture_logs() as lines, pytest.raises(OperationalError, match=words):
        dispatch_all()
    assert [line for line in lines if line["event"].startswith("dispatch.")] == []
    assert session().scalar(sa.select(sa.func.count()).select_from(Run)) == 0
    dispatch_all()
    assert list(session().scalars(sa.select(Run.trigger))) == ["schedule"] * MANY
    assert set(session().scalars(sa.select(Schedule.fault))) == {None}
