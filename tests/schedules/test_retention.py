"""Old runs are forgotten by age and by number; never an open one, never a schedule's last."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.names import FORGET_OLD_RUNS
from taskapi.core.db import session, transaction
from taskapi.ops.scheduling import HOUSEKEEPING
from taskapi.schedules import retention
from taskapi.schedules.bookkeeping import Backfill, RunLogLine
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import forget_old_runs
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.settings import settings_changed
from tests.work import tick


def history(app: Flask, person: Person, time: Time, number: int) -> dict[str, Any]:
    """A schedule that ran so many times, once a day."""
    schedule = make(person, every=86_400, notify=[])
    for _ in range(number):
        time.pass_(days=1)
        tick(app)
    return schedule


def days_kept(person: Person, schedule: dict[str, Any]) -> list[str]:
    session().rollback()
    return [run["scheduled_for"][8:10] for run in runs_of(person, schedule)]


def test_runs_older_than_the_days_kept_are_forgotten_with_their_logs(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = history(context, owner, time, 6)
    with settings_changed(context, run_retention_days=2):
        forget_old_runs()
    assert days_kept(owner, schedule) == ["24", "25", "26"]
    assert session().scalar(sa.select(sa.func.count()).select_from(RunLogLine)) == 3
    assert owner.get(f"/api/schedules/{schedule['id']}").json["stats"] == {"completed": 3}


def test_only_the_newest_runs_of_each_schedule_are_kept(context: Flask, owner: Person, time: Time) -> None:
    schedule = history(context, owner, time, 5)
    other = make(owner, run_at="2026-11-26T09:00:00Z", notify=[])
    time.pass_(days=1)
    tick(context)
    with settings_changed(context, run_retention_count=2):
        forget_old_runs()
    assert days_kept(owner, schedule) == ["25", "26"]
    assert len(days_kept(owner, other)) == 1


def test_the_last_run_of_a_schedule_is_kept_for_ever(context: Flask, owner: Person, time: Time) -> None:
    schedule = history(context, owner, time, 2)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(days=1000)
    forget_old_runs()
    assert days_kept(owner, schedule) == ["22"]
    assert owner.delete(f"/api/schedules/{schedule['id']}").status_code == 204
    forget_old_runs()
    assert owner.get("/api/runs").json["total"] == 0


def test_an_open_run_is_never_forgotten(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=86_400, overlap="allow", notify=[])
    for _ in range(2):
        time.pass_(days=1)
        owner.post(f"/api/schedules/{schedule['id']}/run")
    with transaction():
        run_id = session().scalar(sa.select(Run.id).order_by(Run.created_at).limit(1))
        assert run_id is not None
        claims.claim_run(run_id, worker="at work", lease_seconds=20)
    time.pass_(days=1)
    with settings_changed(context, run_retention_days=1, run_retention_count=1):
        forget_old_runs()
    assert [run["status"] for run in runs_of(owner, schedule)] == ["running", "pending"]


def test_zero_keeps_everything(context: Flask, owner: Person, time: Time) -> None:
    schedule = history(context, owner, time, 3)
    time.pass_(days=10_000)
    with settings_changed(context, run_retention_days=0, run_retention_count=0):
        forget_old_runs()
    assert len(days_kept(owner, schedule)) == 3


def test_whoever_is_killed_has_only_less_done(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = history(context, owner, time, 6)
    monkeypatch.setattr(retention, "BATCH", 2)
    done = retention._delete

    def die_in_the_second_batch(runs: list[retention.OldRun]) -> int:
        if len(days_left()) < 6:
            raise KeyboardInterrupt
        return done(runs)

    def days_left() -> list[UUID]:
        return list(session().scalars(sa.select(Run.id)))

    with settings_changed(context, run_retention_days=1):
        monkeypatch.setattr(retention, "_delete", die_in_the_second_batch)
        with pytest.raises(KeyboardInterrupt):
            forget_old_runs()
        assert days_kept(owner, schedule) == ["23", "24", "25", "26"]
        monkeypatch.setattr(retention, "_delete", done)
        forget_old_runs()
    assert days_kept(owner, schedule) == ["25", "26"]
    assert owner.get(f"/api/schedules/{schedule['id']}").json["stats"] == {"completed": 2}


def test_old_backfills_are_forgotten_and_running_ones_kept(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=86_400, notify=[])
    span = {"from_at": time.now, "to_at": time.now, "mark_at": time.now, "created_at": time.now}
    whose = {"schedule_id": UUID(schedule["id"]), "owner_id": owner.id}
    with transaction():
        session().add(Backfill(**whose, **span, status="running", created_runs=0, reopened_runs=0))
        ended = {"status": "completed", "finished_at": time.now, "created_runs": 0, "reopened_runs": 0}
        session().add(Backfill(**whose, **span, **ended))
    time.pass_(days=100)
    forget_old_runs()
    assert session().scalars(sa.select(Backfill.status)).all() == ["running"]


def test_it_is_done_every_hour() -> None:
    assert [entry.interval for entry in HOUSEKEEPING if entry.job_name == FORGET_OLD_RUNS] == [3600]
