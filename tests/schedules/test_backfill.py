"""POST /api/schedules/{id}/backfill, and what follows from it"""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import on_commit, session, transaction
from taskapi.core.errors import OutcomeUnknown
from taskapi.schedules.engine import backfilling
from taskapi.schedules.figures import recent_lag
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick

HOURLY: dict[str, Any] = {"cron": "30 * * * *", "overlap": "allow", "notify": []}
MORNING = {"from": "2026-11-20T03:00:00Z", "to": "2026-11-20T08:00:00Z"}


def backfill(owner: Person, schedule: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = owner.post(f"/api/schedules/{schedule['id']}/backfill", {**MORNING, **body})
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json
    return found


def seen(owner: Person, one: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = owner.get(f"/api/schedules/{one['schedule_id']}/backfills/{one['id']}").json
    return found


def test_the_past_is_run_after_all(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY)
    answer = owner.post(f"/api/schedules/{schedule['id']}/backfill", MORNING)
    assert answer.status_code == 202
    assert owner.get(answer.headers["Location"]).json["status"] == "running"
    for _ in range(3):
        tick(app)
    runs = runs_of(owner, schedule)
    assert [run["scheduled_for"][11:16] for run in runs] == ["03:30", "04:30", "05:30", "06:30", "07:30"]
    assert {(run["status"], run["trigger"]) for run in runs} == {("completed", "backfill")}
    done = owner.get(answer.headers["Location"]).json
    assert (done["status"], done["created_runs"], done["reopened_runs"]) == ("completed", 5, 0)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["next_run_at"] == "2026-11-20T09:30:00Z"


def test_what_a_backfill_runs_is_not_late(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY)
    backfill(owner, schedule)
    for _ in range(3):
        tick(app)
    assert {run["lag_ms"] for run in runs_of(owner, schedule)} == {None}
    (figures,) = owner.get("/api/analytics/runs").json["items"]
    assert (figures["total"], set(figures["lag_ms"].values())) == (5, {None})
    time.pass_(minutes=30, seconds=2)
    tick(app)
    (figures,) = owner.get("/api/analytics/runs").json["items"]
    assert (figures["total"], set(figures["lag_ms"].values())) == (6, {2000})
    with app.app_context():
        assert recent_lag() == (2.0, 2.0)


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=3600, overlap="skip", notify=[])
    time.pass_(hours=1)
    with app.app_context():
        dispatch_all()
    time.pass_(hours=1)
    with app.app_context():
        dispatch_all()
    assert [run["status"] for run in runs_of(owner, schedule)] == ["pending", "skipped"]
    found = backfill(owner, schedule, **{"from": "2026-11-20T08:00:00Z", "to": "2026-11-21", "dry_run": True})
    # Its grid reaches back before it was made: 08:00 and 09:00 have no run, 11:00 was skipped.
    assert found == {
        "due_times": 4,
        "to_create": 2,
        "to_reopen": 1,
        "left_alone": 1,
        "times": ["2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z", "2026-11-20T11:00:00Z"],
    }
    assert len(runs_of(owner, schedule)) == 2
    assert owner.get(f"/api/schedules/{schedule['id']}/backfills").json["total"] == 0


def test_what_ran_is_left_and_what_was_skipped_is_the_same_run_again(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, **HOURLY, catch_up="latest")
    time.pass_(hours=4)
    tick(app)
    before = {run["id"]: run["status"] for run in runs_of(owner, schedule)}
    assert sorted(before.values()) == ["completed", "skipped", "skipped", "skipped"]
    one = backfill(owner, schedule, **{"from": "2026-11-20T09:00:00Z", "to": "2026-11-20T14:00:00Z"})
    for _ in range(3):
        tick(app)
    after = runs_of(owner, schedule)
    assert {run["id"] for run in after} == set(before)
    assert [(run["status"], run["trigger"], run["attempt"]) for run in after] == [
        ("completed", "catch_up", 1)
    ] * 4
    assert seen(owner, one)["reopened_runs"] == 3


def test_where_runs_must_not_overlap_they_come_one_by_one_and_in_order(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = make(owner, **{**HOURLY, "overlap": "skip"}, action="probe", params={})
    backfill(owner, schedule)
    for _ in range(12):
        with app.app_context():
            dispatch_all()
            assert session().scalar(sa.select(sa.func.count()).where(Run.status == "pending")) in (0, 1)
        run_jobs(app)
    assert [call.scheduled_for.hour for call in probe.calls] == [3, 4, 5, 6, 7]


def test_at_most_ten_are_in_flight_and_each_step_is_bounded(app: Flask, owner: Person, time: Time) -> None:
    time.pass_(seconds=1)
    schedule = make(owner, **{**HOURLY, "cron": "*/5 * * * *"})
    one = backfill(owner, schedule)
    with app.app_context():
        dispatch_all()
    assert len(runs_of(owner, schedule)) == backfilling.AT_ONCE
    for _ in range(7):
        tick(app)
    done = seen(owner, one)
    assert (done["status"], done["created_runs"]) == ("completed", 60)


def test_live_due_times_go_first(context: Flask, owner: Person, time: Time, monkeypatch: Any) -> None:
    schedule = make(owner, **HOURLY)
    backfill(owner, schedule)
    steps: list[int] = []
    monkeypatch.setattr("taskapi.schedules.engine.dispatch.work_backfills", lambda: steps.append(1))
    time.pass_(minutes=30)
    dispatch_all()
    assert [run["trigger"] for run in runs_of(owner, schedule)] == ["schedule"]
    assert len(steps) == 1, "only once nothing more is due"


def test_it_goes_on_after_being_killed(
    app: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(owner, **HOURLY)
    one = backfill(owner, schedule)

    def killed(*_args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(backfilling, "_reopen", killed)
        with app.app_context(), pytest.raises(SystemExit):
            backfilling.work_backfills()
    assert runs_of(owner, schedule) == []
    for _ in range(3):
        tick(app)
    assert len(runs_of(owner, schedule)) == 5
    assert seen(owner, one)["status"] == "completed"


def test_it_can_be_cancelled(app: Flask, owner: Person, time: Time) -> None:
    time.pass_(seconds=1)
    schedule = make(owner, **{**HOURLY, "cron": "* * * * *"})
    one = backfill(owner, schedule)
    with app.app_context():
        dispatch_all()
    path = f"/api/schedules/{schedule['id']}/backfills/{one['id']}"
    assert owner.post(f"{path}/cancel").json["status"] == "cancelled"
    tick(app)
    assert {(run["status"], run["reason"]) for run in runs_of(owner, schedule)} == {("cancelled", "manual")}
    again = owner.post(f"{path}/cancel")
    assert (again.status_code, again.json["code"]) == (409, "backfill_finished")


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_it_ends_with_its_schedule(app: Flask, owner: Person, time: Time, end: str) -> None:
    schedule = make(owner, **HOURLY)
    backfill(owner, schedule)
    with app.app_context():
        dispatch_all()
    path = f"/api/schedules/{schedule['id']}"
    assert (owner.post(f"{path}/cancel") if end == "cancel" else owner.delete(path)).status_code < 300
    tick(app)
    with app.app_context():
        statuses = set(session().scalars(sa.select(Run.status)))
        assert statuses == {"cancelled"}
        assert backfilling.work_backfills() is False


def test_due_times_that_the_schedule_has_not_judged_are_left_to_it(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, **HOURLY, catch_up="all")
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    time.pass_(hours=3)
    backfill(owner, schedule, to="2026-11-20T12:00:00Z")
    for _ in range(3):
        tick(app)
    assert len(runs_of(owner, schedule)) == 6
    owner.post(f"/api/schedules/{schedule['id']}/resume")
    tick(app)
    assert [run["trigger"] for run in runs_of(owner, schedule)] == ["backfill"] * 6 + ["catch_up"] * 3


def test_a_start_that_was_chosen_bounds_the_past(owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY, starts_at="2026-11-20T05:30:00Z")
    assert backfill(owner, schedule, dry_run=True)["due_times"] == 3


def test_it_neither_blocks_due_times_nor_counts_as_runs_of_the_schedule(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, **{**HOURLY, "overlap": "skip"}, max_runs=1)
    backfill(owner, schedule)
    with app.app_context():
        dispatch_all()
    time.pass_(minutes=30)
    with app.app_context():
        dispatch_all()
    assert [(run["trigger"], run["status"]) for run in runs_of(owner, schedule)] == [
        ("backfill", "pending"),
        ("schedule", "pending"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2026-11-20T08:00:00Z"}, "to"),
        ({"from": "2026-11-20T10:00:00Z", "to": "2026-11-20T11:00:00Z"}, "from"),
        ({"from": "1990-01-01", "to": "2026-01-01"}, "to"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_words(
    owner: Person, time: Time, body: dict[str, str], field: str
) -> None:
    schedule = make(owner, every=1, overlap="allow")
    answer = owner.post(f"/api/schedules/{schedule['id']}/backfill", {**MORNING, **body})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


def test_a_cancelled_schedule_answers_conflict(owner: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY)
    owner.post(f"/api/schedules/{schedule['id']}/cancel")
    answer = owner.post(f"/api/schedules/{schedule['id']}/backfill", MORNING)
    assert (answer.status_code, answer.json["code"]) == (409, "schedule_cancelled")


def test_a_second_one_waits_for_the_first(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    schedule = make(owner, **HOURLY, action="probe", params={})
    backfill(owner, schedule)
    backfill(owner, schedule, **{"from": "2026-11-20T01:00:00Z"})
    for _ in range(5):
        tick(app)
    assert [call.scheduled_for.hour for call in probe.calls] == [3, 4, 5, 6, 7, 1, 2]


def test_a_backfill_that_cannot_be_planned_stops_nobody(context: Flask, owner: Person, time: Time) -> None:
    poisoned, healthy = make(owner, **HOURLY), make(owner, **HOURLY)
    one = backfill(owner, poisoned)
    backfill(owner, healthy)
    with transaction():
        session().execute(
            sa.text("UPDATE schedules SET timezone = 'Not/AZone' WHERE id = :id").bindparams(
                sa.bindparam("id", UUID(poisoned["id"]), sa.Uuid())
            )
        )
    for _ in range(3):
        tick(context)
    assert len(runs_of(owner, healthy)) == 5
    assert seen(owner, one)["status"] == "cancelled"


def test_a_stranger_finds_no_backfill(owner: Person, teammate: Person, time: Time) -> None:
    schedule = make(owner, **HOURLY)
    one = backfill(owner, schedule)
    path = f"/api/schedules/{schedule['id']}"
    others = make(owner, **HOURLY)
    assert teammate.post(f"{path}/backfill", MORNING).status_code == 404
    assert teammate.get(f"{path}/backfills").status_code == 404
    assert teammate.post(f"{path}/backfills/{one['id']}/cancel").status_code == 404
    assert owner.get(f"/api/schedules/{others['id']}/backfills/{one['id']}").status_code == 404


def test_nobody_calls_for_the_past(owner: Person, time: Time) -> None:
    schedule = make(owner, action="expect_ping", params={"grace": 60}, cron="30 * * * *", notify=[])
    answer = owner.post(f"/api/schedules/{schedule['id']}/backfill", MORNING)
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["action"])


def test_many_backfills_of_one_schedule_do_not_keep_anothers_waiting(
    app: Flask, owner: Person, teammate: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "BACKFILLS_AT_ONCE", 2)
    mine, theirs = make(owner, **HOURLY), make(teammate, **HOURLY)
    for _ in range(3):
        backfill(owner, mine)
    one = backfill(teammate, theirs)
    with app.app_context():
        dispatch_all()
    assert seen(teammate, one)["created_runs"] > 0


@pytest.mark.parametrize(
    "bounds",
    [
        {"starts_at": "2026-11-20T03:00:00Z"},
        {"starts_at": "2016-11-20T00:00:00Z", "ends_at": "2016-11-20T06:00:00Z"},
    ],
)
def test_a_range_is_estimated_from_the_first_to_the_last_due_time(
    app: Flask, owner: Person, time: Time, bounds: dict[str, str]
) -> None:
    schedule = make(owner, every=3600, max_runs=2, notify=[])
    with app.app_context(), transaction():
        values = {name: datetime.fromisoformat(text) for name, text in bounds.items()}
        session().execute(sa.update(Schedule).values(every=1.0, starts_at_given=True, **values))
    # 21,600 due times, in a range that has room for hundreds of millions.
    backfill(owner, schedule, **{"from": "2016-11-20T00:00:00Z", "to": "2026-11-20T09:00:00Z"})


def test_a_commit_of_which_nobody_knows_ends_no_backfill(
    context: Flask, owner: Person, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(owner, every=60, overlap="allow")
    time.pass_(minutes=5)
    made = backfill(owner, schedule, **{"from": "2026-11-20T08:00:00Z", "to": "2026-11-20T08:05:00Z"})
    step = backfilling._step

    def done_and_unknown(backfill_id: UUID, schedule_id: UUID) -> bool:
        on_commit(unknown)
        return step(backfill_id, schedule_id)

    def unknown() -> None:
        raise OutcomeUnknown("The connection broke.")

    with monkeypatch.context() as broken:
        broken.setattr(backfilling, "_step", done_and_unknown)
        with pytest.raises(OutcomeUnknown):
            dispatch_all()
    assert seen(owner, made)["status"] == "running"
