"""Overlap: a due time while a run before it is still in progress."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.schedules.engine import claims, outcomes
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs, tick


def minutely(owner: Person, overlap: str, **fields: Any) -> dict[str, Any]:
    return make(
        owner, **{"action": "probe", "params": {}, "every": 60, "notify": [], "overlap": overlap, **fields}
    )


def minutes_pass(app: Flask, time: Time, number: int) -> None:
    for _ in range(number):
        time.pass_(seconds=60)
        with app.app_context():
            dispatch_all()


def start(app: Flask, run: dict[str, Any]) -> None:
    """A worker takes the run and works on it."""
    with app.app_context(), transaction():
        claimed = claims.claim_run(UUID(run["id"]), worker="slow", lease_seconds=3600)
        assert claimed is not None


def finish(app: Flask, run: dict[str, Any]) -> None:
    with app.app_context(), transaction():
        assert outcomes.complete(run_id=UUID(run["id"]), attempt=1, result=None) is not None


def told(runs: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(run["status"], run["reason"]) for run in runs]


def test_queued_runs_come_one_after_the_other(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    schedule = minutely(owner, "queue")
    minutes_pass(app, time, 1)
    first = runs_of(owner, schedule)[0]
    start(app, first)
    minutes_pass(app, time, 2)
    run_jobs(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["running", "pending", "pending"]
    finish(app, first)
    for expected in (["completed", "completed", "pending"], ["completed"] * 3):
        tick(app)
        assert [run["status"] for run in runs_of(owner, schedule)] == expected
    assert [call.scheduled_for.minute for call in probe.calls] == [2, 3]


def test_any_end_hands_on_the_turn(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    probe.behave = lambda _context: 1 / 0
    schedule = minutely(owner, "queue", retry={"max_attempts": 1})
    minutes_pass(app, time, 3)
    first = runs_of(owner, schedule)[0]
    owner.post(f"/api/runs/{first['id']}/cancel")
    tick(app)
    assert told(runs_of(owner, schedule)) == [("cancelled", "manual"), ("failed", None), ("pending", None)]
    tick(app)
    assert runs_of(owner, schedule)[2]["status"] == "failed"


def test_a_waiting_run_can_be_cancelled_and_the_next_takes_its_place(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "queue")
    minutes_pass(app, time, 3)
    owner.post(f"/api/runs/{runs_of(owner, schedule)[1]['id']}/cancel")
    for _ in range(2):
        tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed", "cancelled", "completed"]


def test_all_missed_due_times_are_caught_up_in_order(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "queue", catch_up="all")
    time.pass_(minutes=10)
    for _ in range(11):
        tick(app)
    assert {run["status"] for run in runs_of(owner, schedule)} == {"completed"}
    assert [call.scheduled_for.minute for call in probe.calls] == list(range(1, 11))


def test_a_turn_that_was_lost_is_found(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    schedule = minutely(owner, "queue")
    minutes_pass(app, time, 2)
    with app.app_context():
        with transaction():
            # As if the end of the first run had not seen the second.
            ended = sa.update(Run).where(Run.status == "pending", ~Run.waits_for_turn)
            session().execute(ended.values(status="completed"))
        rescue_runs()
    tick(app)
    assert runs_of(owner, schedule)[1]["status"] == "completed"


def test_runs_by_hand_stand_beside(app: Flask, owner: Person, time: Time, probe: Probe) -> None:
    for overlap in ("queue", "replace"):
        schedule = minutely(owner, overlap)
        by_hand = owner.post(f"/api/schedules/{schedule['id']}/run").json
        minutes_pass(app, time, 1)
        run_jobs(app)
        assert {run["status"] for run in runs_of(owner, schedule)} == {"completed"}
        assert owner.get(f"/api/runs/{by_hand['id']}").json["status"] == "completed"


def test_a_run_that_has_not_started_is_replaced_at_once(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "replace")
    minutes_pass(app, time, 3)
    assert told(runs_of(owner, schedule)) == [("cancelled", "overlap")] * 2 + [("pending", None)]
    tick(app)
    assert runs_of(owner, schedule)[2]["status"] == "completed"
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).where(Event.type == "run.cancelled")) == 2


def test_a_run_in_progress_is_told_to_stop_and_the_new_one_waits_for_its_end(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "replace")
    minutes_pass(app, time, 1)
    first = runs_of(owner, schedule)[0]
    start(app, first)
    minutes_pass(app, time, 2)
    run_jobs(app)
    runs = runs_of(owner, schedule)
    assert told(runs) == [("running", None), ("cancelled", "overlap"), ("pending", None)]
    assert runs[0]["cancel_requested_at"] == "2026-11-20T09:02:00Z"
    with app.app_context(), transaction():
        outcomes.cancel_attempt(run_id=UUID(first["id"]), attempt=1)
    tick(app)
    assert told(runs_of(owner, schedule)) == [("cancelled", "overlap")] * 2 + [("completed", None)]


def test_of_many_missed_due_times_only_the_last_one_stays(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "replace", catch_up="all")
    time.pass_(minutes=5)
    for _ in range(2):
        tick(app)
    assert told(runs_of(owner, schedule)) == [("cancelled", "overlap")] * 4 + [("completed", None)]
    assert len(probe.calls) == 1


def test_the_last_due_time_replaces_and_then_completes_the_schedule(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "replace", ends_at="2026-11-20T09:02:30Z")
    minutes_pass(app, time, 2)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "active"
    tick(app)
    assert told(runs_of(owner, schedule)) == [("cancelled", "overlap"), ("completed", None)]
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


def retry_the_fourth(owner: Person, schedule: dict[str, Any]) -> str:
    """Leave out the fourth due time, and take that back; its path."""
    owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": "2026-11-20T09:04:00Z"})
    path = f"/api/runs/{runs_of(owner, schedule)[-1]['id']}"
    assert owner.post(f"{path}/retry").json["status"] == "pending"
    return path


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_one_left_out_that_comes_back_at_its_time_is_in_nobodys_way_before(
    app: Flask, owner: Person, time: Time, probe: Probe, overlap: str
) -> None:
    schedule = minutely(owner, overlap, ends_at="2026-11-20T09:06:00Z")
    retry_the_fourth(owner, schedule)
    for done in range(1, 6):
        time.pass_(seconds=60)
        tick(app)
        statuses = [run["status"] for run in runs_of(owner, schedule)]
        assert statuses == ["completed"] * done + ["pending"] * (done < 4)
    assert [call.scheduled_for.minute for call in probe.calls] == [1, 2, 3, 4, 5]
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "completed"


@pytest.mark.parametrize(
    ("overlap", "fourth", "fifth"),
    [
        ("skip", ("pending", None), ("skipped", "overlap")),
        ("replace", ("cancelled", "overlap"), ("pending", None)),
    ],
)
def test_once_its_time_has_come_it_is_as_any_other(
    app: Flask,
    owner: Person,
    time: Time,
    probe: Probe,
    overlap: str,
    fourth: tuple[str, str | None],
    fifth: tuple[str, str | None],
) -> None:
    schedule = minutely(owner, overlap)
    retry_the_fourth(owner, schedule)
    time.pass_(seconds=180)
    tick(app)
    minutes_pass(app, time, 2)
    assert told(runs_of(owner, schedule))[-2:] == [fourth, fifth]


def test_a_turn_is_handed_on_past_one_that_comes_back_at_its_time(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "queue")
    retry_the_fourth(owner, schedule)
    minutes_pass(app, time, 2)
    owner.post(f"/api/runs/{runs_of(owner, schedule)[0]['id']}/cancel")
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["cancelled", "completed", "pending"]


def test_a_lost_turn_is_found_past_one_that_comes_back_at_its_time(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    schedule = minutely(owner, "queue")
    minutes_pass(app, time, 2)
    first = UUID(runs_of(owner, schedule)[0]["id"])
    retry_the_fourth(owner, schedule)
    with app.app_context():
        with transaction():
            # As if its end had not seen the second.
            session().execute(sa.update(Run).where(Run.id == first).values(status="completed"))
        rescue_runs()
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed", "completed", "pending"]
