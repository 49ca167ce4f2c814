"""POST /api/schedules/{id}/cancel and DELETE /api/schedules/{id}"""

from uuid import UUID

from flask import Flask

from taskapi.core.db import transaction
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import rescue_runs
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick


def test_a_cancelled_schedule_never_runs_again(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    answer = owner.post(f"/api/schedules/{schedule['id']}/cancel")
    assert (answer.json["status"], answer.json["next_run_at"]) == ("cancelled", None)
    time.pass_(seconds=300)
    tick(app)
    assert runs_of(owner, schedule) == []


def test_a_run_that_waits_in_the_queue_is_cancelled_too(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    with app.app_context():
        dispatch_all()
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    run_jobs(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["reason"], run["attempt"]) == ("cancelled", "schedule_cancelled", 0)


def test_a_deleted_schedule_is_gone_but_its_history_stays(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60)
    tick(app)
    assert owner.delete(f"/api/schedules/{schedule['id']}").status_code == 204
    assert owner.get(f"/api/schedules/{schedule['id']}").status_code == 404
    assert owner.delete(f"/api/schedules/{schedule['id']}").status_code == 404
    assert owner.get("/api/schedules").json["total"] == 0
    assert owner.get("/api/runs").json["items"][0]["schedule_id"] == schedule["id"]


def test_a_teammate_cannot_delete(owner: Person, teammate: Person) -> None:
    schedule = make(owner, every=60)
    assert teammate.delete(f"/api/schedules/{schedule['id']}").status_code == 404
    assert owner.get(f"/api/schedules/{schedule['id']}").status_code == 200


def test_due_times_that_passed_unhandled_are_accounted_for(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=1, catch_up="all", overlap="allow")
    time.pass_(seconds=1500)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    time.pass_(seconds=60)
    tick(app)
    answer = owner.get(f"/api/schedules/{schedule['id']}/runs", query_string={"status": "cancelled"})
    assert answer.json["total"] == 1499
    assert {run["reason"] for run in answer.json["items"]} == {"schedule_cancelled"}
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] is None


def test_due_times_of_a_pause_are_accounted_for_when_it_ends_in_a_cancel(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=150)
    owner.delete(f"/api/schedules/{schedule['id']}")
    tick(app)
    assert [run["status"] for run in owner.get("/api/runs").json["items"]] == ["cancelled"] * 2


def test_a_run_in_progress_is_not_tried_again_after_the_cancel(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, action="probe", params={}, every=60, retry={"max_attempts": 5, "delay": 1})

    def cancel_and_fail(_context: object) -> None:
        owner.post(f"/api/schedules/{schedule['id']}/cancel")
        raise RuntimeError("too bad")

    probe.behave = cancel_and_fail
    time.pass_(seconds=60)
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["reason"], run["attempt"]) == ("failed", "schedule_cancelled", 1)


def test_a_run_whose_worker_died_is_not_given_back_after_the_cancel(
    context: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, cron="0 0 1 1 *")
    run_id = UUID(owner.post(f"/api/schedules/{schedule['id']}/run").json["id"])
    with transaction():
        claims.claim_run(run_id, worker="gone", lease_seconds=20)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    time.pass_(seconds=21)
    rescue_runs()
    run = owner.get(f"/api/runs/{run_id}").json
    assert (run["status"], run["reason"]) == ("cancelled", "schedule_cancelled")
