"""PUT and PATCH /api/schedules/{id}"""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.schedules import editing
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import REMINDER, Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, tick

QUIET: dict[str, Any] = {"notify": []}
on_one_database = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)


def edit(owner: Person, schedule: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = owner.patch(f"/api/schedules/{schedule['id']}", changes)
    assert answer.status_code == 200, answer.text
    edited: dict[str, Any] = answer.json
    return edited


def refused(owner: Person, schedule: dict[str, Any], **changes: Any) -> tuple[int, str, list[str]]:
    answer = owner.patch(f"/api/schedules/{schedule['id']}", changes)
    return answer.status_code, answer.json["code"], list(answer.json.get("errors", {}))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_what_is_sent_changes(owner: Person, time: Time, method: str) -> None:
    schedule = make(owner, cron="0 8 * * *", timezone="Europe/Paris", overlap="queue", **QUIET)
    time.pass_(minutes=1)
    answer = owner.call(method, f"/api/schedules/{schedule['id']}", {"name": "Tea", "start_deadline": "PT5M"})
    changed = {"name": "Tea", "start_deadline": 300, "version": 2, "updated_at": "2026-11-20T09:01:00Z"}
    assert answer.json == {**schedule, **changed}
    assert answer.headers["ETag"] != owner.get("/api/schedules").json["items"][0]["version"]


def test_a_trigger_takes_the_place_of_the_other(owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 8 * * *", **QUIET)
    time.pass_(minutes=7)
    edited = edit(owner, schedule, every=600)
    assert (edited["cron"], edited["every"], edited["next_run_at"]) == (None, 600, "2026-11-20T09:17:00Z")
    assert edited["starts_at"] == "2026-11-20T09:07:00Z", "nobody chose a start, so it starts now"


def test_a_start_that_was_chosen_stays(owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 8 * * *", starts_at="2026-11-20T00:00:00Z", **QUIET)
    assert edit(owner, schedule, every="PT7H")["next_run_at"] == "2026-11-20T14:00:00Z"


def test_due_times_so_far_are_judged_by_the_old_definition(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, catch_up="all", overlap="allow", **QUIET)
    time.pass_(seconds=630)
    # No scheduler was running, and the change comes first.
    edited = edit(owner, schedule, every=3600)
    assert edited["next_run_at"] == "2026-11-20T10:10:30Z"
    tick(app)
    runs = runs_of(owner, schedule)
    assert [run["scheduled_for"][14:19] for run in runs] == [f"{minute:02}:00" for minute in range(1, 11)]
    assert {run["status"] for run in runs} == {"completed"}


def test_a_pause_is_settled_up_to_the_change_and_goes_on(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, catch_up="all", overlap="allow", **QUIET)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(seconds=150)
    edited = edit(owner, schedule, cron="*/5 * * * *")
    assert (edited["status"], edited["next_run_at"]) == ("paused", "2026-11-20T09:05:00Z")
    assert [(run["status"], run["reason"]) for run in runs_of(owner, schedule)] == [("skipped", "paused")] * 2
    time.pass_(minutes=10)
    tick(app)
    assert len(runs_of(owner, schedule)) == 2
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    tick(app)
    assert [(run["status"], run["trigger"]) for run in runs_of(owner, schedule)][2:] == [
        ("completed", "catch_up"),
        ("completed", "catch_up"),
    ]


def test_runs_keep_what_they_were_made_with(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, timeout=30, **QUIET)
    time.pass_(seconds=60)
    with app.app_context():
        dispatch_all()
    edit(owner, schedule, params={"message": "Coffee"}, retry={"max_attempts": 9}, every=600)
    (run,) = runs_of(owner, schedule)
    assert (run["params"], run["max_attempts"], run["status"]) == ({"message": "Time for tea"}, 3, "pending")


def test_nested_objects_are_replaced_whole(owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, retry={"max_attempts": 9, "delay": 1, "max_delay": 2}, **QUIET)
    assert edit(owner, schedule, retry={"delay": 5})["retry"] == {
        "max_attempts": 3,
        "delay": 5,
        "factor": 2,
        "max_delay": 3600,
    }


@pytest.mark.parametrize(
    "changes",
    [{}, {"every": 60}, {"name": "A name", "timezone": "UTC"}, {"starts_at": "2026-11-20T09:00:00Z"}],
)
def test_what_changes_nothing_is_no_change(owner: Person, time: Time, changes: dict[str, Any]) -> None:
    schedule = make(owner, every=60, name="A name", **QUIET)
    time.pass_(seconds=5)
    assert edit(owner, schedule, **changes) == schedule


def test_a_completed_schedule_with_a_new_time_is_active_again(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:00:00Z", max_runs=1, **QUIET)
    tick(app)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"
    edited = edit(owner, schedule, run_at="2026-11-20T09:30:00Z")
    assert (edited["status"], edited["next_run_at"]) == ("active", "2026-11-20T09:30:00Z")
    time.pass_(minutes=30)
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed"] * 2


def test_more_runs_make_a_completed_schedule_active_again(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, max_runs=1, **QUIET)
    time.pass_(seconds=60)
    tick(app)
    assert edit(owner, schedule, max_runs=2)["status"] == "active"
    for _ in range(3):
        time.pass_(seconds=60)
        tick(app)
    assert len(runs_of(owner, schedule)) == 2


def test_fewer_runs_than_there_were_complete_it(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    for _ in range(2):
        time.pass_(seconds=60)
        tick(app)
    edited = edit(owner, schedule, max_runs=1)
    assert (edited["status"], edited["next_run_at"]) == ("completed", None)


@on_one_database
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"run_at": "2026-11-20T08:59:00Z"}, (422, "validation_error", ["run_at"])),
        ({"cron": "0 8 * * *", "every": 60}, (422, "validation_error", ["every"])),
        ({"cron": "0 0 30 2 *"}, (422, "invalid_cron", ["cron"])),
        ({"ends_at": "2026-11-20T09:00:30Z"}, (422, "validation_error", ["ends_at"])),
        ({"ends_at": "2026-11-20T08:00:00Z"}, (422, "validation_error", ["ends_at"])),
        ({"timezone": None}, (422, "validation_error", ["timezone"])),
        ({"action": "webhook"}, (422, "validation_error", ["params.message", "params.url"])),
        ({"action": "remind"}, (422, "unknown_action", ["action"])),
        ({"params": {"mesage": "x"}}, (422, "validation_error", ["params.mesage", "params.message"])),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    owner: Person, time: Time, changes: dict[str, Any], expected: tuple[int, str, list[str]]
) -> None:
    schedule = make(owner, every=60, **QUIET)
    status, code, fields = refused(owner, schedule, **changes)
    assert (status, code, sorted(fields)) == expected
    assert owner.get(f"/api/schedules/{schedule['id']}").json == schedule


def test_another_action_takes_the_place_with_its_params(owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    check = edit(owner, schedule, action="expect_ping", params={"grace": 30})
    assert (check["action"], check["params"]) == ("expect_ping", {"grace": 30})
    assert check["ping_url"] is not None
    assert check["next_run_at"] == schedule["next_run_at"]
    assert edit(owner, check, **REMINDER)["ping_url"] is None


@on_one_database
def test_a_cancelled_schedule_answers_conflict(owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    assert refused(owner, schedule, name="Tea")[:2] == (409, "schedule_cancelled")


def test_too_many_waiting_due_times_are_left_to_the_dispatcher(
    app: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "MAX_WAITING", 1500)
    schedule = make(owner, every=1, **QUIET)
    time.pass_(seconds=2500)
    answer = owner.patch(f"/api/schedules/{schedule['id']}", {"every": 60})
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
        409,
        "schedule_busy",
        "5",
    )
    assert runs_of(owner, schedule) == []


def test_a_stale_edit_is_refused(owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    path = f"/api/schedules/{schedule['id']}"
    tag = owner.get(path).headers["ETag"]
    assert owner.patch(path, {"name": "One"}, headers={"If-Match": tag}).status_code == 200
    assert owner.patch(path, {"name": "Two"}, headers={"If-Match": tag}).status_code == 412


def test_the_event_says_what_was_and_what_is(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    edit(owner, schedule, cron="0 12 * * *", name="Noon")
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "schedule.updated")).one()
        before, after = event.before or {}, event.after or {}
    assert event.actor_id == owner.id
    assert (before["every"], before["cron"], before["next_run_at"][:16]) == (60, None, "2026-11-20T09:01")
    assert (after["every"], after["cron"], after["next_run_at"][:16]) == (
        None,
        "0 12 * * *",
        "2026-11-20T12:00",
    )
    assert (before["name"] == schedule["name"], after["name"]) == (True, "Noon")


def test_skips_go_with_the_trigger_that_they_were_of(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="0 * * * *", starts_at="2026-11-20T09:30:00Z", **QUIET)
    owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": "2026-11-20T12:00:00Z"})
    assert len(runs_of(owner, schedule)) == 1
    edit(owner, schedule, overlap="allow", jitter=0, ends_at="2027-01-01T00:00:00Z")
    assert len(runs_of(owner, schedule)) == 1
    edited = edit(owner, schedule, cron="0 */2 * * *")
    assert runs_of(owner, schedule) == []
    assert edited["stats"] == {}
    time.pass_(hours=3)
    tick(app)
    assert runs_of(owner, schedule)[-1]["status"] == "completed"


def test_a_due_time_that_jitter_puts_off_is_not_lost(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=600, jitter=500, **QUIET)
    time.pass_(seconds=600)
    with app.app_context():
        dispatch_at = session().scalar(sa.select(Schedule.dispatch_at))
    assert dispatch_at is not None
    assert dispatch_at > time.now
    edit(owner, schedule, every=3600, jitter=0)
    assert [run["scheduled_for"] for run in runs_of(owner, schedule)] == ["2026-11-20T09:10:00Z"]


def test_an_open_backfill_ends_with_the_trigger(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, cron="30 * * * *", **QUIET)
    path = f"/api/schedules/{schedule['id']}"
    owner.post(f"{path}/backfill", {"from": "2026-11-20T03:00:00Z", "to": "2026-11-20T08:00:00Z"})
    edit(owner, schedule, every=600)
    assert owner.get(f"{path}/backfills").json["items"][0]["status"] == "cancelled"


def test_runs_that_wait_for_their_turn_are_let_go_when_they_may_overlap(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, action="probe", params={}, every=60, overlap="queue", **QUIET)
    for _ in range(3):
        time.pass_(seconds=60)
        with app.app_context():
            dispatch_all()
    edit(owner, schedule, overlap="allow")
    with app.app_context():
        dispatch_all()
        waiting = sa.select(sa.func.count()).where(
            Run.schedule_id == UUID(schedule["id"]), Run.waits_for_turn
        )
        assert session().scalar(waiting) == 0


def test_a_teammate_cannot_edit(owner: Person, teammate: Person, time: Time) -> None:
    schedule = make(owner, every=60, **QUIET)
    assert teammate.patch(f"/api/schedules/{schedule['id']}", {"name": "Mine"}).status_code == 404
