"""A work-horse writes the end of a run with the claim of the next, and not later than before it idles."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.idling import run_idle_steps
from taskapi.core import events
from taskapi.core.compiled import numbered
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import finishing, statements
from taskapi.schedules.engine.execution import execute_run
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick

PROBE = {"action": "probe", "params": {}, "cron": "0 0 1 1 *", "overlap": "allow"}


@pytest.fixture
def horse(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """This process is a work-horse, and keeps the end of a run until its next step."""
    monkeypatch.setattr(finishing, "is_work_horse", lambda: True)
    yield context
    finishing.write_kept()


def requested(owner: Person, number: int = 1, **fields: Any) -> list[UUID]:
    """So many runs of one schedule that wait for a worker."""
    schedule = make(owner, **{**PROBE, **fields})
    answers = [owner.post(f"/api/schedules/{schedule['id']}/run") for _ in range(number)]
    return [UUID(answer.json["id"]) for answer in answers]


def once(owner: Person, time: Time, number: int) -> list[UUID]:
    """The runs of so many schedules that have no other."""
    due = (time.now + timedelta(minutes=1)).isoformat()
    made = [make(owner, action="probe", params={}, run_at=due) for _ in range(number)]
    time.pass_(minutes=1)
    dispatch_all()
    return [UUID(runs_of(owner, schedule)[0]["id"]) for schedule in made]


def schedule_states() -> list[str]:
    """Of all schedules, the oldest first."""
    session().rollback()
    return list(session().scalars(sa.select(Schedule.status).order_by(Schedule.created_at, Schedule.id)))


def states(*run_ids: UUID) -> list[str]:
    """As everybody sees them."""
    session().rollback()
    rows = session().execute(sa.select(Run.id, Run.status))
    found = {run_id: status for run_id, status in rows}  # noqa: C416
    return [found[run_id] for run_id in run_ids]


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent in the block, and each commit."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement.split()[0])

    def note_commit(_connection: Any) -> None:
        sent.append("COMMIT")

    sa.event.listen(db.engine, "before_cursor_execute", note)
    sa.event.listen(db.engine, "commit", note_commit)
    try:
        yield sent
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
        sa.event.remove(db.engine, "commit", note_commit)


def test_the_end_is_written_with_the_claim_of_the_next_run(horse: Flask, owner: Person, probe: Probe) -> None:
    first, second = requested(owner, 2)
    execute_run(run_id=first, worker="w")
    assert states(first, second) == ["running", "pending"]
    seen: list[list[str]] = []
    probe.behave = lambda _context: seen.append(states(first, second))
    execute_run(run_id=second, worker="w")
    assert seen == [["completed", "running"]]


def test_the_end_is_written_before_the_process_idles(horse: Flask, owner: Person, probe: Probe) -> None:
    (run_id,) = requested(owner)
    execute_run(run_id=run_id, worker="w")
    run_idle_steps()
    assert states(run_id) == ["completed"]


def test_a_failure_waits_for_nothing(horse: Flask, owner: Person, probe: Probe) -> None:
    (run_id,) = requested(owner, retry={"max_attempts": 1})
    probe.behave = lambda _context: 1 / 0
    execute_run(run_id=run_id, worker="w")
    assert states(run_id) == ["failed"]


def test_a_run_costs_one_statement_on_postgresql_and_one_commit_on_sqlite(
    horse: Flask, owner: Person, probe: Probe
) -> None:
    runs = requested(owner, 5)
    execute_run(run_id=runs[0], worker="w")
    with counted() as sent:
        for run_id in runs[1:]:
            execute_run(run_id=run_id, worker="w")
    if db.engine.dialect.name == "postgresql":
        assert sent == ["WITH"] * 4
    else:
        # Its end, the event, the counts, whether the owner runs dry, the next claim.
        assert len(sent) == 4 * 7
        assert sent.count("COMMIT") == 4


def test_the_statement_is_short_enough_for_the_driver_to_remember_it(context: Flask) -> None:
    if db.engine.dialect.name == "postgresql":
        text = str(statements.end_and_claim(20.0).compile(dialect=db.engine.dialect))
        assert len(text) < 4096, "psycopg reads a longer one anew each time"


def test_both_ways_of_ending_write_and_tell_the_same(
    horse: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schedule whose lock is needed goes the long way: the run that ended differs in nothing else."""

    def behave(context: RunContext) -> dict[str, int]:
        context.log("a line")
        context.progress(1, 2)
        return {"answer": 42}

    probe.behave = behave
    (short,), (long,) = requested(owner, name="Same"), requested(owner, name="Same", overlap="queue")
    for run_id in (short, long):
        execute_run(run_id=run_id, worker="w")
    run_idle_steps()
    found = [owner.get(f"/api/runs/{run_id}").json for run_id in (short, long)]
    told = [session().scalars(sa.select(Event).where(Event.subject_id == id_)).all() for id_ in (short, long)]
    ends = [[event for event in each if event.type == "run.completed"] for each in told]
    assert [len(each) for each in ends] == [1, 1]
    for run, (event,) in zip(found, ends, strict=True):
        assert event.after is not None
        assert event.after["duration_ms"] == run["duration_ms"]
        assert event.after["lag_ms"] == run["lag_ms"]
        assert event.request_id == run["id"]
    own = {"id", "schedule_id", "scheduled_for", "lag_ms", "duration_ms"}
    assert alike([event.after for (event,) in ends], own)
    columns = [
        {name: getattr(event, name) for name in ("actor_id", "owner_id", "before", "context", "address")}
        for (event,) in ends
    ]
    assert alike(columns, set())
    times = {"queued_at", "started_at", "first_started_at", "finished_at", "created_at"}
    assert alike(found, own | times)
    assert [owner.get(f"/api/runs/{run_id}/log").json["total"] for run_id in (short, long)] == [1, 1]


def alike(pair: list[Any], own: set[str]) -> bool:
    """Whether the two differ in nothing but what is each one's own."""
    first, second = ({name: value for name, value in each.items() if name not in own} for each in pair)
    return bool(first == second)


def test_who_watches_for_ends_is_called(horse: Flask, owner: Person, probe: Probe) -> None:
    (run_id,) = requested(owner)
    seen = []
    events.watch("test", "run.completed", lambda event: seen.append(event.subject_id))
    try:
        execute_run(run_id=run_id, worker="w")
        run_idle_steps()
    finally:
        events._watchers.pop("test")
    assert seen == [run_id]


def test_an_end_that_came_too_late_changes_nothing_and_keeps_nobody_back(
    horse: Flask, owner: Person, probe: Probe
) -> None:
    lost, following = requested(owner, 2)
    execute_run(run_id=lost, worker="w")
    with transaction():
        session().execute(sa.update(Run).where(Run.id == lost).values(attempt=2, worker="another"))
    execute_run(run_id=following, worker="w")
    run_idle_steps()
    assert states(lost, following) == ["running", "completed"]


def test_a_run_that_is_cancelled_when_it_had_ended_already_is_completed(
    horse: Flask, owner: Person, probe: Probe
) -> None:
    (run_id,) = requested(owner)
    execute_run(run_id=run_id, worker="w")
    assert owner.post(f"/api/runs/{run_id}/cancel").status_code == 200
    run_idle_steps()
    assert states(run_id) == ["completed"]


def test_a_job_that_comes_twice_does_nothing_the_second_time(
    horse: Flask, owner: Person, probe: Probe
) -> None:
    (run_id,) = requested(owner)
    execute_run(run_id=run_id, worker="w")
    execute_run(run_id=run_id, worker="w")
    assert (len(probe.calls), states(run_id)) == (1, ["completed"])


def test_a_worker_killed_before_it_wrote_the_end_has_the_run_done_again(
    horse: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    (run_id,) = requested(owner)
    execute_run(run_id=run_id, worker="w")
    # All that kill -9 leaves of what was kept.
    finishing._kept.ending = None
    time.pass_(seconds=21)
    rescue_dead_leases()
    tick(horse)
    run_jobs(horse)
    run_idle_steps()
    assert states(run_id) == ["completed"]
    assert [call.attempt for call in probe.calls] == [1, 2]


@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
def test_connections_that_broke_lose_neither_the_end_nor_the_next_run(
    horse: Flask, owner: Person, probe: Probe
) -> None:
    first, second = requested(owner, 2)
    execute_run(run_id=first, worker="w")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with db.engine.connect() as connection:
        connection.execute(sa.text(f"{others} AND pid <> pg_backend_pid()"))
        session().rollback()
    execute_run(run_id=second, worker="w")
    run_idle_steps()
    assert states(first, second) == ["completed", "completed"]


def test_what_cannot_be_stored_keeps_the_next_run_not_back(
    horse: Flask, owner: Person, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = requested(owner, 2)
    execute_run(run_id=first, worker="w")

    def refuse(*_anything: object, **_more: object) -> None:
        raise sa.exc.DataError("UPDATE", {}, Exception("poison"))

    with monkeypatch.context() as patched:
        patched.setattr(finishing, "_write_plain", refuse)
        patched.setattr(finishing, "settle", refuse)
        execute_run(run_id=second, worker="w")
    run_idle_steps()
    assert states(first, second) == ["running", "completed"]


def test_schedules_that_ended_with_their_run_are_closed_together(
    horse: Flask, owner: Person, time: Time, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "OVER_AT_ONCE", 2)
    runs = once(owner, time, 3)
    for run_id in runs:
        execute_run(run_id=run_id, worker="w")
    assert (states(*runs), schedule_states()) == (
        ["completed", "completed", "running"],
        ["completed", "completed", "active"],
    )
    run_idle_steps()
    assert (states(*runs), schedule_states()) == (["completed"] * 3, ["completed"] * 3)
    told = sa.select(sa.func.count()).where(Event.type == "schedule.completed")
    assert session().scalar(told) == 3


def test_a_schedule_with_another_run_open_is_not_over(
    horse: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    (run_id,) = once(owner, time, 1)
    (schedule,) = owner.get("/api/schedules").json["items"]
    by_hand = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    execute_run(run_id=run_id, worker="w")
    run_idle_steps()
    assert (states(run_id, by_hand), schedule_states()) == (["completed", "pending"], ["active"])
    execute_run(run_id=by_hand, worker="w")
    run_idle_steps()
    assert schedule_states() == ["completed"]


def test_what_a_worker_did_not_come_to_close_is_closed_by_the_rescue(
    horse: Flask, owner: Person, time: Time, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_id,) = once(owner, time, 1)
    execute_run(run_id=run_id, worker="w")
    with monkeypatch.context() as killed:
        killed.setattr(finishing, "_close_those_over", finishing._kept.over.clear)
        run_idle_steps()
    finishing._kept.over.clear()
    assert (states(run_id), schedule_states()) == (["completed"], ["active"])
    rescue_runs()
    assert schedule_states() == ["completed"]


@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
def test_a_run_that_ends_is_found_by_its_id_though_none_is_open_as_yet(
    context: Flask, owner: Person, probe: Probe
) -> None:
    (run_id,) = requested(owner)
    execute_run(run_id=run_id, worker="w")
    run_idle_steps()
    text = numbered(db.engine.dialect, partial(statements.end_and_claim), (20.0,)).text
    with db.engine.connect() as connection:
        connection.exec_driver_sql(
            "INSERT INTO runs SELECT (jsonb_populate_record(run, jsonb_build_object("
            "'id', gen_random_uuid(), 'status', 'completed'))).* FROM runs AS run, generate_series(1, 1000)"
        )
        connection.exec_driver_sql("ANALYZE runs")
        asked = f"EXPLAIN (GENERIC_PLAN) {text}"
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(asked))
    assert [name for name in ("open", "pending", "leases") if f"ix_runs_{name} " in plan] == []
