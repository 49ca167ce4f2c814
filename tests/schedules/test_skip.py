"""POST /api/schedules/{id}/skip"""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from taskapi.schedules.timing import triggers
from taskapi.schedules.timing.wall import Due
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import tick


def skip(owner: Person, schedule: dict[str, Any], at: str) -> dict[str, Any]:
    answer = owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": at})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_a_due_time_left_out_is_a_skipped_run_and_the_others_come(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, cron="30 * * * *", max_runs=2, notify=[])
    answer = skip(owner, schedule, "2026-11-20T10:30:00Z")
    assert (answer["next_run_at"], answer["version"]) == ("2026-11-20T09:30:00Z", 2)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["reason"], run["trigger"]) == ("skipped", "manual", "schedule")
    for _ in range(8):
        time.pass_(minutes=30)
        tick(app)
    assert [(run["scheduled_for"][11:16], run["status"]) for run in runs_of(owner, schedule)] == [
        ("09:30", "completed"),
        ("10:30", "skipped"),
        ("11:30", "completed"),
    ]


def test_leaving_out_the_next_one_moves_on(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", notify=[])
    assert skip(owner, schedule, "2026-11-20T09:30:00Z")["next_run_at"] == "2026-11-20T10:30:00Z"
    assert skip(owner, schedule, "2026-11-20T11:30:00Z")["next_run_at"] == "2026-11-20T10:30:00Z"
    time.pass_(minutes=90)
    tick(app)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] == "2026-11-20T12:30:00Z"


def test_twice_is_once(owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", notify=[])
    first, second = (skip(owner, schedule, "2026-11-20T10:30:00Z") for _ in range(2))
    assert first == second
    assert len(runs_of(owner, schedule)) == 1


def test_a_time_as_the_answer_gives_it_fits_a_due_time_with_microseconds(owner: Person) -> None:
    # By the real clock, whose microseconds an answer does not show.
    schedule = make(owner, every=3600, notify=[])
    assert skip(owner, schedule, schedule["next_run_at"])["next_run_at"] > schedule["next_run_at"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-20T10:29:00Z", "Nothing is due at this time. The next due time is 2026-11-20T10:30:00Z."),
        ("2026-11-20T08:30:00Z", "This time is past. The next due time is 2026-11-20T09:30:00Z."),
        ("2026-11-20T12:30:00Z", "Nothing is due at this time. The next due time is 2026-11-20T13:30:00Z."),
        ("2026-11-20T23:30:00Z", "Nothing is due at this time. Nothing is due after it."),
    ],
)
def test_what_is_not_due_is_refused_with_the_next_due_time(
    owner: Person, time: Time, at: str, words: str
) -> None:
    schedule = make(
        owner,
        cron="30 * * * *",
        exclude=["2026-11-20T12:30:00Z"],
        ends_at="2026-11-20T20:00:00Z",
        notify=[],
    )
    answer = owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": at})
    assert (answer.status_code, answer.json["errors"]) == (422, {"at": [words]})


def test_a_refusal_does_not_walk_the_due_times_before_it(
    owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(owner, every=1, ends_at="2027-01-01T00:00:00Z", notify=[])
    walked = 0
    unbounded = triggers._unbounded

    def counting(*args: Any) -> Iterator[Due]:
        nonlocal walked
        for due in unbounded(*args):
            walked += 1
            yield due

    monkeypatch.setattr(triggers, "_unbounded", counting)
    answer = owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": "2027-06-01T00:00:00Z"})
    assert answer.status_code == 422
    assert walked < 1_000


def test_leaving_out_all_that_is_left_completes_the_schedule(owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T10:00:00Z", notify=[])
    answer = skip(owner, schedule, "2026-11-20T10:00:00Z")
    assert (answer["status"], answer["next_run_at"]) == ("completed", None)
    again = owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": "2026-11-20T10:00:00Z"})
    assert (again.status_code, again.json["code"]) == (409, "schedule_completed")


def test_a_paused_schedule_can_leave_one_out(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", catch_up="all", notify=[])
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    skip(owner, schedule, "2026-11-20T10:30:00Z")
    time.pass_(hours=3)
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    for _ in range(2):
        tick(app)
    assert [(run["status"], run["reason"]) for run in runs_of(owner, schedule)][1] == ("skipped", "manual")


def test_a_retry_takes_it_back_and_nothing_starts_early(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", ends_at="2026-11-20T09:31:00Z", notify=[])
    skip(owner, schedule, "2026-11-20T09:30:00Z")
    (run,) = runs_of(owner, schedule)
    assert owner.post(f"/api/runs/{run['id']}/retry").json["status"] == "pending"
    time.pass_(minutes=29)
    tick(app)
    assert runs_of(owner, schedule)[0]["status"] == "pending"
    time.pass_(minutes=1)
    tick(app)
    assert [(run["status"], run["lag_ms"]) for run in runs_of(owner, schedule)] == [("completed", 0)]


def test_one_left_out_again_after_a_retry_is_skipped(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", notify=[])
    for at in ("2026-11-20T09:30:00Z", "2026-11-20T10:30:00Z"):
        skip(owner, schedule, at)
    for run in runs_of(owner, schedule):
        owner.post(f"/api/runs/{run['id']}/retry")
    path = f"/api/schedules/{schedule['id']}"
    items = owner.get(f"{path}/preview", query_string={"n": 3}).json["items"]
    assert [item["utc"][11:16] for item in items] == ["09:30", "10:30", "11:30"]
    answer = skip(owner, schedule, "2026-11-20T09:30:00Z")
    assert answer["stats"] == {"pending": 1, "skipped": 1}
    for _ in range(3):
        time.pass_(minutes=30)
        tick(app)
    assert [(run["status"], run["reason"]) for run in runs_of(owner, schedule)] == [
        ("skipped", "manual"),
        ("completed", None),
    ]


def test_it_is_not_in_the_preview(owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", notify=[])
    skip(owner, schedule, "2026-11-20T10:30:00Z")
    items = owner.get(f"/api/schedules/{schedule['id']}/preview", query_string={"n": 2}).json["items"]
    assert [item["utc"][11:16] for item in items] == ["09:30", "11:30"]


def test_a_teammate_cannot(owner: Person, teammate: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", notify=[])
    answer = teammate.post(f"/api/schedules/{schedule['id']}/skip", {"at": "2026-11-20T10:30:00Z"})
    assert answer.status_code == 404
