"""POST /api/schedules/{id}/run"""

from flask import Flask

from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import run_jobs, tick


def test_it_answers_with_a_run_that_a_worker_then_does(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 0 1 1 *")
    answer = owner.post(f"/api/schedules/{schedule['id']}/run")
    assert answer.status_code == 202
    assert (answer.json["status"], answer.json["trigger"]) == ("pending", "manual")
    run_jobs(app)
    assert owner.get(f"/api/runs/{answer.json['id']}").json["status"] == "completed"


def test_it_stands_beside_a_due_time_of_the_same_moment(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:00:00Z", overlap="allow")
    owner.post(f"/api/schedules/{schedule['id']}/run")
    owner.post(f"/api/schedules/{schedule['id']}/run")
    tick(app)
    runs = runs_of(owner, schedule)
    assert sorted(run["trigger"] for run in runs) == ["manual", "manual", "schedule"]
    assert {run["status"] for run in runs} == {"completed"}


def test_a_paused_and_a_completed_schedule_can_be_run_by_hand(app: Flask, owner: Person, time: Time) -> None:
    paused = make(owner, every=60)
    owner.post(f"/api/schedules/{paused['id']}/pause")
    completed = make(owner, run_at="2026-11-20T09:00:00Z")
    tick(app)
    for schedule in (paused, completed):
        assert owner.post(f"/api/schedules/{schedule['id']}/run").status_code == 202


def test_a_cancelled_schedule_cannot(owner: Person) -> None:
    schedule = make(owner, every=60)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    answer = owner.post(f"/api/schedules/{schedule['id']}/run")
    assert (answer.status_code, answer.json["code"]) == (409, "schedule_cancelled")


def test_a_run_by_hand_in_progress_takes_no_due_time_away(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:01:00Z", overlap="skip")
    owner.post(f"/api/schedules/{schedule['id']}/run")
    time.pass_(seconds=60)
    tick(app)
    assert {(run["trigger"], run["status"]) for run in runs_of(owner, schedule)} == {
        ("manual", "completed"),
        ("schedule", "completed"),
    }


def test_it_can_have_params_of_its_own(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 0 1 1 *", notify=[])
    path = f"/api/schedules/{schedule['id']}"
    answer = owner.post(f"{path}/run", {"params": {"message": "Coffee, for once"}})
    assert answer.headers["Location"] == f"/api/runs/{answer.json['id']}"
    assert answer.json["params"] == {"message": "Coffee, for once"}
    run_jobs(app)
    assert owner.get("/api/notifications").json["items"][0]["message"] == "Coffee, for once"
    assert owner.get(path).json["params"] == schedule["params"]
    refused = owner.post(f"{path}/run", {"params": {"mesage": "x"}})
    assert (refused.status_code, sorted(refused.json["errors"])) == (422, ["params.mesage", "params.message"])
