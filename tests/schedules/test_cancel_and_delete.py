"""POST /api/schedules/{id}/cancel and DELETE /api/schedules/{id}"""

from flask import Flask

from taskapi.schedules.dispatch import dispatch_due
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import run_jobs, tick


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
        dispatch_due()
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
