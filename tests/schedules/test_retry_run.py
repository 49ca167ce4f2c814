"""POST /api/runs/{id}/retry and POST /api/runs/retry"""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.errors import OwnerInactive
from taskapi.schedules.runs import retry_runs
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, tick

PROBE = {"action": "probe", "params": {}, "notify": []}


def failing(_context: RunContext) -> None:
    raise ActionFailed("not yet", permanent=True)


def failed_run(app: Flask, owner: Person, probe: Probe, **fields: Any) -> dict[str, Any]:
    """A run that has failed for good."""
    probe.behave = failing
    schedule = make(owner, **PROBE, **{"run_at": "2026-11-20T09:00:00Z", **fields})
    tick(app)
    probe.behave = lambda _context: "done"
    return runs_of(owner, schedule)[0]


def test_a_failed_run_is_done_again_as_the_same_run(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    run = failed_run(app, owner, probe)
    time.pass_(hours=1)
    answer = owner.post(f"/api/runs/{run['id']}/retry")
    assert answer.status_code == 200
    assert {name: answer.json[name] for name in ("id", "status", "error", "finished_at", "max_attempts")} == {
        "id": run["id"],
        "status": "pending",
        "error": None,
        "finished_at": None,
        "max_attempts": 4,
    }
    tick(app)
    again = owner.get(f"/api/runs/{run['id']}").json
    assert (again["status"], again["attempt"], again["result"], again["trigger"]) == (
        "completed",
        2,
        "done",
        "schedule",
    )


def test_it_has_all_its_automatic_retries_again(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    run = failed_run(app, owner, probe, retry={"max_attempts": 2, "delay": 1, "factor": 1})
    probe.behave = lambda _context: 1 / 0
    owner.post(f"/api/runs/{run['id']}/retry")
    statuses = []
    for _ in range(3):
        tick(app)
        statuses.append(owner.get(f"/api/runs/{run['id']}").json["status"])
        time.pass_(seconds=1)
    assert statuses == ["pending", "failed", "failed"]
    assert owner.get(f"/api/runs/{run['id']}").json["attempt"] == 3


def test_a_skipped_and_a_cancelled_run_can_be_done_after_all(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, overlap="skip", notify=[])
    for _ in range(2):
        time.pass_(seconds=60)
        with app.app_context():
            dispatch_all()
    first, second = runs_of(owner, schedule)
    owner.post(f"/api/runs/{first['id']}/cancel")
    for run in (first, second):
        assert owner.post(f"/api/runs/{run['id']}/retry").status_code == 200
    tick(app)
    assert {run["status"] for run in runs_of(owner, schedule)} == {"completed"}
    assert owner.get(f"/api/schedules/{schedule['id']}").json["stats"] == {"completed": 2}


def test_a_run_that_is_completed_or_has_not_ended_answers_conflict(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **PROBE, cron="0 0 1 1 *")
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    pending = owner.post(f"/api/runs/{run['id']}/retry")
    tick(app)
    completed = owner.post(f"/api/runs/{run['id']}/retry")
    assert [(answer.status_code, answer.json["code"]) for answer in (pending, completed)] == [
        (409, "run_not_finished"),
        (409, "run_finished"),
    ]


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_a_run_of_a_schedule_that_is_gone_is_not_done_again(
    app: Flask, owner: Person, time: Time, probe: Probe, end: str
) -> None:
    run = failed_run(app, owner, probe)
    path = f"/api/schedules/{run['schedule_id']}"
    assert (owner.post(f"{path}/cancel") if end == "cancel" else owner.delete(path)).status_code in (200, 204)
    answer = owner.post(f"/api/runs/{run['id']}/retry")
    assert (answer.status_code, answer.json["code"]) == (409, "schedule_cancelled")
    assert owner.post("/api/runs/retry").json == {"retried": 0, "more": False}


def test_failed_runs_are_retried_in_bulk(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    schedule = make(owner, **PROBE, every=60, overlap="allow")
    probe.behave = failing
    for _ in range(3):
        time.pass_(seconds=60)
        tick(app)
    probe.behave = lambda _context: None
    failed_run(app, owner, probe, run_at="2026-11-20T09:03:00Z")
    answer = owner.post(
        "/api/runs/retry", {"schedule_id": schedule["id"], "scheduled_before": "2026-11-20T09:02:30Z"}
    )
    assert (answer.status_code, answer.json) == (200, {"retried": 2, "more": False})
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed", "completed", "failed"]


def test_a_bulk_takes_a_thousand_at_most_and_only_what_is_ones_own(
    app: Flask, owner: Person, admin: Person, time: Time, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.schedules.runs.MAX_RETRIED", 2)
    runs = [failed_run(app, owner, probe) for _ in range(3)]
    assert admin.post("/api/runs/retry", {"run_ids": [run["id"] for run in runs]}).json["retried"] == 0
    assert owner.post("/api/runs/retry").json == {"retried": 2, "more": True}
    assert owner.post("/api/runs/retry").json == {"retried": 1, "more": False}


def test_who_may_not_see_a_run_cannot_have_it_done_again(
    app: Flask, owner: Person, teammate: Person, time: Time, probe: Probe
) -> None:
    run = failed_run(app, owner, probe)
    assert teammate.post(f"/api/runs/{run['id']}/retry").status_code == 404
    assert teammate.post("/api/runs/retry", {"run_ids": [run["id"]]}).json["retried"] == 0


def test_a_retry_is_in_the_event_log(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    run = failed_run(app, owner, probe)
    owner.post(f"/api/runs/{run['id']}/retry")
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "run.retried")).one()
        assert (str(event.subject_id), event.actor_id) == (run["id"], owner.id)


def test_a_bulk_does_nothing_for_who_was_switched_off_a_moment_ago(
    app: Flask, owner: Person, admin: Person, time: Time, probe: Probe
) -> None:
    run = failed_run(app, owner, probe)
    admin.patch(f"/api/admin/users/{owner.id}", {"is_active": False})
    with app.app_context(), pytest.raises(OwnerInactive), transaction():
        # Let in before that.
        retry_runs(actor=owner.actor)
    assert admin.get(f"/api/runs/{run['id']}").json["status"] == "failed"
