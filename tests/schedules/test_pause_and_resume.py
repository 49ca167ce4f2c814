"""POST /api/schedules/{id}/pause and /resume"""

import pytest
from flask import Flask

from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import tick


def test_a_paused_schedule_does_not_run(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    answer = owner.post(f"/api/schedules/{schedule['id']}/pause")
    assert (answer.status_code, answer.json["status"]) == (200, "paused")
    time.pass_(seconds=300)
    tick(app)
    assert runs_of(owner, schedule) == []


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("skip", [("skipped", "paused")] * 3),
        ("latest", [("skipped", "paused")] * 2 + [("completed", None)]),
        ("all", [("completed", None)] * 3),
    ],
)
def test_each_due_time_of_a_pause_gets_a_verdict_at_resume(
    app: Flask, owner: Person, time: Time, catch_up: str, expected: list[tuple[str, str | None]]
) -> None:
    schedule = make(owner, every=60, catch_up=catch_up, overlap="allow")
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=190)
    assert owner.post(f"/api/schedules/{schedule['id']}/resume").json["status"] == "active"
    tick(app)
    assert [(run["status"], run["reason"]) for run in runs_of(owner, schedule)] == expected


def test_after_resume_it_goes_on_in_its_old_rhythm(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=90)
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    tick(app)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] == "2026-11-20T09:02:00Z"


def test_pausing_and_resuming_twice_is_once(owner: Person, time: Time) -> None:
    path = f"/api/schedules/{make(owner, every=60)['id']}"
    versions = [owner.post(f"{path}/{act}").json["version"] for act in ("pause", "pause", "resume", "resume")]
    assert versions == [2, 2, 3, 3]


def test_a_one_off_paused_over_its_time_runs_at_resume(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:01:00Z")
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=3600)
    tick(app)
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["trigger"], run["lag_ms"]) == ("completed", "catch_up", 3_540_000)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


def test_a_second_pause_does_not_forget_the_first(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, catch_up="skip", overlap="allow")
    for act in ("pause", "resume", "pause"):
        owner.post(f"/api/schedules/{schedule['id']}/{act}")
        time.pass_(seconds=90)
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    tick(app)
    assert {run["reason"] for run in runs_of(owner, schedule)} == {"paused"}


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_an_ended_schedule_answers_conflict(app: Flask, owner: Person, time: Time, act: str) -> None:
    cancelled = make(owner, every=60)
    owner.post(f"/api/schedules/{cancelled['id']}/cancel")
    completed = make(owner, run_at="2026-11-20T09:00:00Z")
    tick(app)
    answers = [owner.post(f"/api/schedules/{one['id']}/{act}") for one in (cancelled, completed)]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [
        (409, "schedule_cancelled"),
        (409, "schedule_completed"),
    ]


@pytest.mark.parametrize("act", ["pause", "resume", "cancel", "run"])
def test_a_teammate_may_not(owner: Person, teammate: Person, act: str) -> None:
    schedule = make(owner, every=60)
    assert teammate.post(f"/api/schedules/{schedule['id']}/{act}").status_code == 404
    assert owner.get(f"/api/schedules/{schedule['id']}").json["version"] == 1
