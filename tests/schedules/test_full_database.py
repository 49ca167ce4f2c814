"""The database's disk is full: what is read goes on, changes are refused, due times and runs wait."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskapi.core import repeating
from taskapi.core.db import db, session
from taskapi.core.events import Event
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine.execution import CLAIM_PATIENCE_SECONDS, execute_run
from taskapi.schedules.engine.lease import LEASE_SECONDS
from taskapi.schedules.engine.settling import SETTLE_PATIENCE_SECONDS
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.tasks.making import make_task
from tests.work import dispatch_all, run_jobs

# What PostgreSQL says of a full disk, from a trigger: a disk of its own would need rights over the machine.
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE disk_full USING MESSAGE = 'could not extend file "base/16384/16385": No space left on device';
END $$
"""
WORDS = {"sqlite": "database or disk is full", "postgresql": "No space left on device"}
# More than fit into what is left of pages that are in use.
MANY = 20
# As long as an error may be, and longer than what is left of a page: it needs room.
LONG = "x" * 3_900

Full = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def full(context: Flask) -> Full:
    """Inside the block there is no room for a new task, the runs of many schedules, or what a run tells."""
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
    # A row that changes needs as much room as a new one: the old one stays until it is vacuumed.
    when = "BEFORE INSERT OR UPDATE"
    with db.engine.begin() as connection:
        connection.execute(sa.text(REFUSE))
        for table in tables:
            create = f"CREATE TRIGGER full_disk {when} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            connection.execute(sa.text(create))
    try:
        yield
    finally:
        db.session.remove()
        with db.engine.begin() as connection:
            connection.execute(sa.text("DROP FUNCTION refuse CASCADE"))


class Waiting:
    """In the place of the module ``time``: nobody waits really, and ``told`` is how long they would have."""

    def __init__(self, told: Callable[[float], object]) -> None:
        self._waited, self._told = 0.0, told

    def monotonic(self) -> float:
        return self._waited

    def sleep(self, seconds: float) -> None:
        self._waited += seconds
        self._told(self._waited)


def by_hand(owner: Person) -> UUID:
    """A run that waits for a worker."""
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", notify=[], retry={"max_attempts": 1})
    return UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])


def completions(run_id: UUID) -> int:
    """How often it was told that the run has ended."""
    session().rollback()
    ended = sa.select(sa.func.count()).where(
        Event.subject_id == run_id, Event.type.in_(("run.completed", "run.failed"))
    )
    return session().scalar(ended) or 0


def once_there_is_room(context: Flask, owner: Person, run_id: UUID) -> Any:
    """The run when all that waits is done."""
    rescue_runs()
    run_jobs(context)
    return owner.get(f"/api/runs/{run_id}").json


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


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_an_outcome_that_finds_no_room_is_written_once_there_is_some(
    full: Full, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    run_id = by_hand(owner)
    seen = list[str]()

    def make_room_later(waited: float) -> None:
        seen.append(owner.get(f"/api/runs/{run_id}").json["status"])
        if waited > SETTLE_PATIENCE_SECONDS / 2:
            disk.close()

    def fill_the_disk(_context: RunContext) -> str:
        disk.enter_context(full())
        if status == "failed":
            raise ActionFailed(LONG)
        return LONG

    probe.behave = fill_the_disk
    monkeypatch.setattr(repeating, "time", Waiting(make_room_later))
    with ExitStack() as disk:
        execute_run(run_id=run_id, worker="patient")
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["attempt"], len(probe.calls)) == (status, 1, 1)
    assert LONG in (run["result"], (run["error"] or {}).get("message"))
    assert set(seen) == {"running"}
    assert completions(run_id) == 1


def test_a_run_whose_outcome_finds_no_room_for_long_is_done_again(
    full: Full, owner: Person, probe: Probe, time: Time, monkeypatch: pytest.MonkeyPatch, context: Flask
) -> None:
    """As one whose worker was killed: it is nobody's any more when its lease ends."""
    run_id = by_hand(owner)
    waited = list[float]()
    monkeypatch.setattr(repeating, "time", Waiting(waited.append))

    def fill_the_disk(_context: RunContext) -> str:
        disk.enter_context(full())
        return LONG

    probe.behave = fill_the_disk
    with ExitStack() as disk, capture_logs() as lines:
        with pytest.raises(OperationalError, match=WORDS[db.engine.dialect.name]):
            execute_run(run_id=run_id, worker="patient")
        assert waited[-1] > SETTLE_PATIENCE_SECONDS
        assert owner.get(f"/api/runs/{run_id}").json["status"] == "running"
    assert {line["what"] for line in lines if line["event"] == "database.waited_for"} == {"run_end"}
    probe.behave = lambda _context: LONG
    time.pass_(seconds=LEASE_SECONDS + 1)
    run = once_there_is_room(context, owner, run_id)
    assert (run["status"], run["attempt"], run["result"]) == ("completed", 2, LONG)
    assert completions(run_id) == 1


@pytest.mark.one_database("postgresql")
def test_a_run_that_finds_no_room_to_begin_waits_in_its_place(
    full: Full, owner: Person, probe: Probe, time: Time, monkeypatch: pytest.MonkeyPatch, context: Flask
) -> None:
    """SQLite changes a row in its place: that a run has begun needs no more room than it has."""
    run_id = by_hand(owner)
    waited = list[float]()
    monkeypatch.setattr(repeating, "time", Waiting(waited.append))
    with full():
        with pytest.raises(OperationalError, match=WORDS["postgresql"]):
            run_jobs(context)
        assert waited[-1] > CLAIM_PATIENCE_SECONDS
        time.pass_(minutes=1)
        with pytest.raises(OperationalError, match=WORDS["postgresql"]):
            rescue_runs()
        assert owner.get(f"/api/runs/{run_id}").json["status"] == "pending"
    assert probe.calls == []
    run = once_there_is_room(context, owner, run_id)
    assert (run["status"], run["attempt"], len(probe.calls)) == ("completed", 1, 1)
    assert completions(run_id) == 1
