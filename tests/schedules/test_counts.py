"""How many runs ended how: kept beside the schedule, and always what a recount finds."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.bookkeeping import RunCounts
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick


def recounted(schedule: dict[str, Any]) -> dict[str, int]:
    statement = sa.select(Run.status).where(Run.schedule_id == UUID(schedule["id"]))
    return dict(Counter(session().scalars(statement)))


def stats(person: Person, schedule: dict[str, Any]) -> dict[str, int]:
    # A request shares this test's session, which must not look at an older state.
    session().rollback()
    found: dict[str, int] = person.get(f"/api/schedules/{schedule['id']}").json["stats"]
    return found


def test_after_a_random_life_the_counts_are_what_a_recount_finds(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    dice = random.Random(7)

    def behave(_context: RunContext) -> None:
        if dice.random() < 0.4:
            raise ActionFailed("It did not work.", permanent=dice.random() < 0.5)

    probe.behave = behave
    schedule = make(
        owner, action="probe", params={}, every=60, catch_up="all", retry={"max_attempts": 2}, notify=[]
    )
    path = f"/api/schedules/{schedule['id']}"

    def lose_a_worker() -> None:
        with transaction():
            pending = session().scalar(sa.select(Run.id).where(Run.status == "pending").limit(1))
            if pending is not None:
                claims.claim_run(pending, worker="gone", lease_seconds=20)

    def retry_some() -> None:
        ended = owner.get("/api/runs?status=failed&status=skipped&status=cancelled&per_page=5").json["items"]
        for run in dice.sample(ended, min(2, len(ended))):
            owner.post(f"/api/runs/{run['id']}/retry")

    def cancel_some() -> None:
        for run in owner.get("/api/runs?status=pending&per_page=1").json["items"]:
            owner.post(f"/api/runs/{run['id']}/cancel")

    steps: list[Callable[[], object]] = [
        lambda: time.pass_(seconds=dice.choice([60, 61, 200, 4000])),
        lambda: time.pass_(seconds=60),
        dispatch_all,
        lambda: run_jobs(context),
        rescue_runs,
        lose_a_worker,
        retry_some,
        cancel_some,
        lambda: owner.post(f"{path}/run"),
        lambda: owner.post(f"{path}/pause"),
        lambda: owner.post(f"{path}/resume"),
    ]
    for _ in range(80):
        dice.choice(steps)()
        assert stats(owner, schedule) == recounted(schedule)
    owner.post(f"{path}/cancel")
    tick(context)
    assert stats(owner, schedule) == recounted(schedule)
    assert recounted(schedule).keys() >= {"completed", "failed", "skipped", "cancelled"}


def test_counts_of_a_schedule_that_has_none_yet_are_zeros(context: Flask, owner: Person) -> None:
    assert stats(owner, make(owner, every=60)) == {}


@pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)
def test_the_first_run_ends_while_a_dispatch_holds_the_schedule(app: Flask, owner: Person) -> None:
    """Each would wait for the other if the end of a run had to insert the row of counts."""
    schedule = make(owner, cron="0 0 1 1 *")
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    with ThreadPoolExecutor(1) as worker, app.app_context(), transaction():
        claims.lock_schedules([UUID(schedule["id"])])
        worker.submit(run_jobs, app).result(timeout=5)
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "completed"


def test_runs_of_a_closed_account_are_counted(context: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, overlap="allow", notify=[])
    time.pass_(seconds=120)
    dispatch_all()
    with transaction():
        running = session().scalar(sa.select(Run.id).limit(1))
        assert running is not None
        claims.claim_run(running, worker="at work", lease_seconds=20)
    assert owner.delete("/api/auth/me", json={"password": "correct horse battery"}).status_code == 204
    tick(context)
    counts = session().get_one(RunCounts, UUID(schedule["id"]))
    ended = recounted(schedule)
    assert {name: getattr(counts, name) for name in ("completed", "failed", "cancelled", "skipped")} == {
        "completed": 0,
        "failed": 0,
        "cancelled": ended["cancelled"],
        "skipped": 0,
    }
