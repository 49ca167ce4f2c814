"""What an action tells while it runs is seen while it runs: log lines and progress."""

import threading
import time as real_time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.schedules.actions.base import MAX_LOG_LINES, RunContext
from taskapi.schedules.engine import journal, lease
from taskapi.schedules.engine.execution import execute_run
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import make
from tests.schedules.probe import Probe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come many times a second."""
    monkeypatch.setattr(lease, "_keeper", lease.Keeper())
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.02)


def until(condition: Callable[[], object], seconds: float = 5) -> None:
    end = real_time.monotonic() + seconds
    while not condition():
        assert real_time.monotonic() < end, "it did not happen in time"
        real_time.sleep(0.01)


def requested(owner: Person) -> UUID:
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *")
    return UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])


def log_of(owner: Person, run_id: UUID) -> list[str]:
    session().rollback()
    found = owner.get(f"/api/runs/{run_id}/log", query_string={"per_page": 100}).json
    return [line["message"] for line in found["items"]]


def progress_of(owner: Person, run_id: UUID) -> Any:
    # The test shares its session with the request, which must not find what it has seen before.
    session().rollback()
    return owner.get(f"/api/runs/{run_id}").json["progress"]


def test_lines_and_progress_are_seen_while_the_action_works(
    context: Flask, owner: Person, probe: Probe
) -> None:
    run_id = requested(owner)
    assert progress_of(owner, run_id) is None

    def work(told: RunContext) -> None:
        told.log("one")
        told.progress(1, 3)
        until(lambda: log_of(owner, run_id) == ["one"])
        until(lambda: progress_of(owner, run_id) == {"done": 1, "total": 3})
        told.log("two")
        told.progress(2, 3)
        until(lambda: log_of(owner, run_id) == ["one", "two"])
        until(lambda: progress_of(owner, run_id) == {"done": 2, "total": 3})
        told.log("three")
        told.progress(3, 3)

    probe.behave = work
    execute_run(run_id=run_id, worker="steady")
    assert log_of(owner, run_id) == ["one", "two", "three"]
    found = owner.get(f"/api/runs/{run_id}").json
    assert (found["status"], found["progress"]) == ("completed", {"done": 3, "total": 3})


def test_the_etag_changes_with_the_progress(context: Flask, owner: Person, probe: Probe) -> None:
    run_id = requested(owner)
    tags = []

    def work(told: RunContext) -> None:
        for done in (1, 2):
            told.progress(done)
            shown = {"done": done, "total": None}
            until(lambda shown=shown: progress_of(owner, run_id) == shown)  # type: ignore[misc]
            tags.append(owner.get(f"/api/runs/{run_id}").headers["ETag"])

    probe.behave = work
    execute_run(run_id=run_id, worker="steady")
    assert tags[0] != tags[1]


def test_nothing_is_written_while_nothing_is_told(context: Flask, owner: Person, probe: Probe) -> None:
    run_id = requested(owner)
    writes: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SELECT", "BEGIN")):
            writes.append(statement)

    engine = session().get_bind()

    def work(told: RunContext) -> None:
        told.log("one")
        until(lambda: log_of(owner, run_id) == ["one"])
        sa.event.listen(engine, "before_cursor_execute", note)
        real_time.sleep(0.2)
        sa.event.remove(engine, "before_cursor_execute", note)

    probe.behave = work
    execute_run(run_id=run_id, worker="silent")
    assert writes == []


def test_a_line_whose_writing_failed_halfway_stands_there_once(
    context: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke after the commit, so that nobody knew whether the lines were written."""
    run_id, write = requested(owner), journal.Journal.write
    broken = threading.Event()

    def write_and_break(self: journal.Journal, engine: sa.Engine) -> None:
        before = self._written
        write(self, engine)
        if self._written and not broken.is_set():
            self._written = before
            broken.set()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(journal.Journal, "write", write_and_break)

    def work(told: RunContext) -> None:
        told.log("one")
        assert broken.wait(5)
        told.log("two")

    probe.behave = work
    execute_run(run_id=run_id, worker="unlucky")
    assert log_of(owner, run_id) == ["one", "two"]
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "completed"


def test_a_failure_to_write_never_harms_the_run(
    context: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = requested(owner)
    tried = threading.Event()

    def refuse(_self: journal.Journal, _engine: sa.Engine) -> None:
        tried.set()
        raise sa.exc.DataError("INSERT", {}, Exception("odd"))

    monkeypatch.setattr(journal.Journal, "write", refuse)

    def work(told: RunContext) -> None:
        told.log("one")
        assert tried.wait(5)

    probe.behave = work
    execute_run(run_id=run_id, worker="steady")
    assert log_of(owner, run_id) == ["one"]
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "completed"


def test_a_worker_that_lost_its_run_writes_no_more(context: Flask, owner: Person, probe: Probe) -> None:
    run_id = requested(owner)

    def lose_it(told: RunContext) -> None:
        with transaction():
            session().execute(sa.update(Run).where(Run.id == run_id).values(attempt=2))
        told.log("from beyond")
        told.progress(1)
        real_time.sleep(0.2)

    probe.behave = lose_it
    execute_run(run_id=run_id, worker="slow")
    assert (log_of(owner, run_id), progress_of(owner, run_id)) == ([], None)


def test_a_talkative_action_is_cut_while_it_talks(context: Flask, owner: Person, probe: Probe) -> None:
    run_id = requested(owner)

    def talk(told: RunContext) -> None:
        for number in range(MAX_LOG_LINES + 500):
            told.log(str(number))
            if number % 300 == 0:
                real_time.sleep(0.05)

    probe.behave = talk
    execute_run(run_id=run_id, worker="steady")
    found = owner.get(f"/api/runs/{run_id}/log", query_string={"per_page": 100}).json
    assert found["total"] == MAX_LOG_LINES + 1
    assert [line["message"] for line in found["items"]] == [str(number) for number in range(100)]


@pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [
        (0, None, {"done": 0, "total": None}),
        (2.5, 10, {"done": 2.5, "total": 10}),
        (Decimal("7"), Decimal("9.5"), {"done": 7, "total": 9.5}),
        (True, 2**53, {"done": 1, "total": 2**53}),
        (float("nan"), 1, None),
        (1, float("inf"), None),
        (10**400, None, None),
    ],
)
def test_progress_is_a_number_that_json_can_hold(
    context: Flask, owner: Person, probe: Probe, done: Any, total: Any, shown: Any
) -> None:
    run_id = requested(owner)
    probe.behave = lambda told: told.progress(done, total)
    execute_run(run_id=run_id, worker="steady")
    found = owner.get(f"/api/runs/{run_id}").json
    assert (found["status"], found["progress"]) == ("completed", shown)


@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
@pytest.mark.parametrize("level", ["warning", "a level with a long name", "a\x00\ud800b"])
def test_an_odd_level_costs_neither_the_line_nor_the_run(
    context: Flask, owner: Person, probe: Probe, level: str
) -> None:
    run_id = requested(owner)
    probe.behave = lambda told: told.log("one", level=level)
    execute_run(run_id=run_id, worker="steady")
    assert log_of(owner, run_id) == ["one"]
    assert owner.get(f"/api/runs/{run_id}").json["status"] == "completed"


def test_the_next_attempt_begins_without_progress(context: Flask, owner: Person, probe: Probe) -> None:
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", retry={"max_attempts": 2, "delay": 0})
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    seen = []

    def fail_halfway(told: RunContext) -> None:
        seen.append(progress_of(owner, run_id))
        told.log(f"attempt {told.attempt}")
        told.progress(1, 2)
        raise RuntimeError("halfway")

    probe.behave = fail_halfway
    for _ in range(2):
        execute_run(run_id=run_id, worker="steady")
    assert seen == [None, None]
    assert progress_of(owner, run_id) == {"done": 1, "total": 2}
    assert log_of(owner, run_id) == ["attempt 1", "attempt 2"]
