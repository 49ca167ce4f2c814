"""Heartbeat checks: runs of ``expect_ping`` wait for a call from outside, without a worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.names import Queue
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import dispatch_all, queued, tick, watch

SQLITE = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)
HOURLY = {
    "action": "expect_ping",
    "params": {"grace": "PT10M"},
    "every": 3600,
    "name": "Backup",
    "notify": ["failed"],
}


def check(person: Person, **fields: Any) -> tuple[dict[str, Any], str]:
    """A heartbeat check, and the path that the job outside calls."""
    schedule = make(person, **{**HOURLY, **fields})
    public_url, _, token = schedule["ping_url"].rpartition("/ping/")
    assert public_url == "http://127.0.0.1:8000"
    return schedule, f"/ping/{token}"


def dispatch(app: Flask) -> None:
    with app.app_context():
        dispatch_all()


def the_run(person: Person, schedule: dict[str, Any]) -> dict[str, Any]:
    (run,) = runs_of(person, schedule)
    return run


def told(person: Person) -> list[str]:
    return [item["type"] for item in reversed(person.get("/api/notifications").json["items"])]


def test_the_run_waits_without_a_worker(app: Flask, owner: Person, time: Time) -> None:
    schedule, _path = check(owner)
    time.pass_(hours=1, seconds=2)
    dispatch(app)
    run = the_run(owner, schedule)
    assert (run["status"], run["attempt"], run["started_at"]) == ("running", 1, "2026-11-20T10:00:00Z")
    assert (run["lag_ms"], run["worker"], run["queued_at"]) == (0, None, None)
    with app.app_context():
        assert [queued(queue) for queue in Queue] == [[]] * len(Queue)


@pytest.mark.parametrize(
    ("method", "body", "kept"),
    [("GET", None, ""), ("HEAD", None, ""), ("POST", "12 files\x00 saved", "12 files saved")],
)
def test_a_ping_completes_it(
    app: Flask, owner: Person, time: Time, method: str, body: str | None, kept: str
) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    time.pass_(minutes=3)
    answer = app.test_client().open(f"{path}?rid=7", method=method, data=body)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.text == ("" if method == "HEAD" else "OK\n")
    run = the_run(owner, schedule)
    assert (run["status"], run["duration_ms"]) == ("completed", 180_000)
    assert run["result"] == {"method": method, "body": kept, "from": "127.0.0.1"}
    assert told(owner) == []


def test_a_job_that_reports_failure_fails_it_for_good(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    app.test_client().post(f"{path}/fail", data="disk full")
    tick(app)
    run = the_run(owner, schedule)
    assert (run["status"], run["attempt"]) == ("failed", 1)
    assert run["error"] == {"code": "reported_failure", "message": "disk full"}
    assert told(owner) == ["run_failed"]


def test_silence_fails_it_and_a_later_ping_recovers(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    time.pass_(minutes=10)
    watch(app)
    assert the_run(owner, schedule)["status"] == "running", "the grace time is not over yet"
    time.pass_(seconds=1)
    watch(app)
    run = the_run(owner, schedule)
    assert (run["status"], run["attempt"]) == ("failed", 1)
    assert run["error"] == {"code": "no_ping", "message": "No ping came by 2026-11-20T10:10:00Z."}
    assert told(owner) == ["run_failed"]
    time.pass_(minutes=50)
    dispatch(app)
    app.test_client().get(path)
    tick(app)
    assert told(owner) == ["run_failed", "run_recovered"]


def test_silence_is_noticed_while_redis_is_away(
    app: Flask, owner: Person, time: Time, redis_away: None
) -> None:
    check(owner)
    time.pass_(hours=1)
    dispatch(app)
    time.pass_(seconds=601)
    watch(app)
    assert told(owner) == ["run_failed"]


def test_failures_in_a_row_count_as_those_of_other_runs(app: Flask, owner: Person, time: Time) -> None:
    schedule, _path = check(owner, alert_after=2, pause_after=3)
    for _ in range(4):
        time.pass_(hours=1)
        dispatch(app)
        time.pass_(seconds=601)
        watch(app)
        time.pass_(seconds=-601)
    assert told(owner) == ["run_failed", "run_failed", "schedule_paused"]
    assert owner.get(f"/api/schedules/{schedule['id']}").json["status"] == "paused"


@pytest.mark.parametrize(("grace", "early"), [(600, 60), (30, 30)])
def test_a_ping_just_before_the_due_time_counts_for_it(
    app: Flask, owner: Person, time: Time, grace: int, early: int
) -> None:
    schedule, path = check(owner, params={"grace": grace})
    time.pass_(seconds=3600 - early)
    app.test_client().post(path, data="early bird")
    time.pass_(seconds=early)
    dispatch(app)
    tick(app)
    run = the_run(owner, schedule)
    assert (run["status"], run["result"]["body"]) == ("completed", "early bird")
    assert told(owner) == []
    time.pass_(hours=1)
    dispatch(app)
    assert runs_of(owner, schedule)[1]["status"] == "running", "it counts once"


@pytest.mark.parametrize("act", ["edit", "skip"])
def test_an_early_ping_whose_due_time_no_longer_comes_is_forgotten(
    app: Flask, owner: Person, time: Time, act: str
) -> None:
    schedule, path = check(owner, every=30, params={"grace": 600})
    app.test_client().get(path)
    if act == "skip":
        owner.post(f"/api/schedules/{schedule['id']}/skip", {"at": schedule["next_run_at"]})
    else:
        owner.patch(f"/api/schedules/{schedule['id']}", {"every": 60})
    time.pass_(minutes=1)
    dispatch(app)
    assert runs_of(owner, schedule)[-1]["status"] == "running"


def test_a_change_that_leaves_the_next_due_time_keeps_its_early_ping(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule, path = check(owner)
    time.pass_(seconds=3590)
    app.test_client().get(path)
    assert owner.patch(f"/api/schedules/{schedule['id']}", {"max_runs": 5}).status_code == 200
    time.pass_(seconds=10)
    dispatch(app)
    assert the_run(owner, schedule)["status"] == "completed"


def test_an_early_ping_takes_the_place_of_a_stale_one(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(seconds=3590)
    app.test_client().get(path)
    with app.app_context(), transaction():
        # As if its due time had gone without anybody looking at the ping.
        row = session().get_one(Schedule, UUID(schedule["id"]))
        assert row.next_run_at is not None
        row.next_run_at = row.dispatch_at = row.next_run_at + timedelta(hours=1)
    time.pass_(seconds=3600)
    app.test_client().post(path, data="in time")
    time.pass_(seconds=10)
    dispatch(app)
    tick(app)
    assert the_run(owner, schedule)["result"]["body"] == "in time"
    assert told(owner) == []


def test_an_early_report_of_failure_counts_too(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(seconds=3590)
    app.test_client().post(f"{path}/fail")
    time.pass_(seconds=10)
    dispatch(app)
    assert the_run(owner, schedule)["error"]["code"] == "reported_failure"


def test_a_ping_while_no_scheduler_ran_is_not_lost(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1, minutes=5)
    app.test_client().get(path)
    time.pass_(minutes=40)
    dispatch(app)
    watch(app)
    assert the_run(owner, schedule)["status"] == "completed"


def test_a_ping_that_was_used_does_not_count_for_the_next_due_time(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule, path = check(owner, every=60, params={"grace": 60})
    time.pass_(seconds=60)
    dispatch(app)
    time.pass_(seconds=1)
    app.test_client().get(path)
    time.pass_(seconds=59)
    dispatch(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed", "running"]


def test_a_ping_that_nothing_waits_for_is_told_once_between_two_due_times(
    app: Flask, owner: Person, time: Time
) -> None:
    _schedule, path = check(owner)
    for _ in range(2):
        for _ in range(3):
            assert app.test_client().get(path).status_code == 200
        tick(app)
        time.pass_(hours=1)
        dispatch(app)
        app.test_client().get(path)
    assert told(owner) == ["ping_unexpected", "ping_unexpected"]
    newest = owner.get("/api/notifications").json["items"][0]
    assert newest["message"] == (
        "A call came from 127.0.0.1 on Fri 20 Nov 2026, 10:00 (UTC) that no run waited for."
        " The next one is due on Fri 20 Nov 2026, 11:00 (UTC)."
    )


@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_a_ping_to_a_schedule_that_rests_is_taken_and_changes_nothing(
    app: Flask, owner: Person, time: Time, act: str
) -> None:
    schedule, path = check(owner)
    owner.post(f"/api/schedules/{schedule['id']}/{act}")
    time.pass_(minutes=5)
    assert app.test_client().get(path).status_code == 200
    tick(app)
    found = owner.get(f"/api/schedules/{schedule['id']}").json
    assert found["last_ping_at"] == "2026-11-20T09:05:00Z"
    assert (runs_of(owner, schedule), told(owner)) == ([], [])


def test_a_run_that_waits_may_be_ended_by_its_ping_while_the_schedule_is_paused(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    owner.post(f"/api/schedules/{schedule['id']}/pause")
    app.test_client().get(path)
    assert the_run(owner, schedule)["status"] == "completed"


@pytest.mark.parametrize("act", ["cancel", "delete"])
def test_ending_the_schedule_ends_a_run_that_waits(app: Flask, owner: Person, time: Time, act: str) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    run = the_run(owner, schedule)
    if act == "cancel":
        owner.post(f"/api/schedules/{schedule['id']}/cancel")
    else:
        owner.delete(f"/api/schedules/{schedule['id']}")
    time.pass_(minutes=11)
    watch(app)
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "cancelled"
    assert told(owner) == []
    assert app.test_client().get(path).status_code == (200 if act == "cancel" else 404)


def test_silence_of_several_is_written_in_the_order_in_which_everybody_locks(
    app: Flask, owner: Person, time: Time
) -> None:
    for seconds in (50, 40, 30, 20):
        check(owner, every=seconds, max_runs=1, params={"grace": 60})
    for _ in range(5):
        time.pass_(seconds=10)
        dispatch(app)
    time.pass_(seconds=61)
    watch(app)
    with app.app_context():
        failed = sa.select(Event).where(Event.type == "run.failed").order_by(Event.id)
        schedules = [(event.after or {})["schedule_id"] for event in session().scalars(failed)]
    assert len(schedules) == 4
    assert schedules == sorted(schedules)


def test_an_unknown_token_is_like_any_path_that_is_not_there(app: Flask, owner: Person) -> None:
    _schedule, path = check(owner)
    client = app.test_client()
    for wrong in (f"{path}x", "/ping/x/fail", f"{path}/succeed", "/ping/a%00b", "/ping/é"):
        answer, other = client.get(wrong), client.get("/nothing")
        assert answer.status_code == 404
        assert answer.json is not None
        assert other.json is not None
        assert answer.json == {**other.json, "request_id": answer.json["request_id"]}


def test_a_body_is_cut_and_never_refused(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    answer = app.test_client().post(path, data=b"\xff" + b"x" * 2_000_000, content_type="application/pdf")
    assert answer.status_code == 200
    assert the_run(owner, schedule)["result"]["body"] == "\ufffd" + "x" * 9_999


def test_a_run_by_hand_waits_from_then_on(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(minutes=20)
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    assert (run["status"], run["started_at"]) == ("running", "2026-11-20T09:20:00Z")
    time.pass_(minutes=9)
    app.test_client().get(path)
    assert owner.get(f"/api/runs/{run['id']}").json["status"] == "completed"


def test_a_retry_waits_again(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    time.pass_(hours=1)
    dispatch(app)
    time.pass_(minutes=20)
    watch(app)
    run = the_run(owner, schedule)
    assert owner.post(f"/api/runs/{run['id']}/retry").status_code == 200
    dispatch(app)
    run = the_run(owner, schedule)
    assert (run["status"], run["attempt"], run["started_at"]) == ("running", 2, "2026-11-20T10:20:00Z")
    app.test_client().get(path)
    assert the_run(owner, schedule)["status"] == "completed"


def test_the_oldest_of_several_is_completed_first(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner, every=300, overlap="allow")
    for _ in range(2):
        time.pass_(seconds=300)
        dispatch(app)
    app.test_client().get(path)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed", "running"]


def test_the_rescue_takes_no_waiting_run_for_dead(context: Flask, owner: Person, time: Time) -> None:
    schedule, _path = check(owner, params={"grace": 86_400})
    time.pass_(hours=1)
    dispatch_all()
    time.pass_(hours=20)
    rescue_runs()
    assert runs_of(owner, schedule)[0]["status"] == "running"


def test_ten_pings_at_once_complete_one_run_once(app: Flask, owner: Person) -> None:
    schedule, path = check(owner)
    owner.post(f"/api/schedules/{schedule['id']}/run")
    start = threading.Barrier(10)
    answers = []

    def call() -> None:
        client = app.test_client()
        start.wait()
        answers.append(client.get(path).status_code)

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 10
    with app.app_context():
        ends = session().scalars(sa.select(Event.type).where(Event.type.like("run.%"))).all()
        unexpected = session().scalars(sa.select(Event).where(Event.type == "schedule.ping_unexpected")).all()
    assert sorted(ends) == ["run.completed", "run.requested"]
    assert len(unexpected) == 1


def test_a_ping_and_the_end_of_the_grace_time_at_once_end_it_once(app: Flask, owner: Person) -> None:
    schedule, path = check(owner, params={"grace": 1})
    for _ in range(3):
        owner.post(f"/api/schedules/{schedule['id']}/run")
    with app.app_context(), transaction():
        session().execute(sa.update(Run).values(signal_by=Run.started_at))
    threads = [threading.Thread(target=app.test_client().get, args=[path]) for _ in range(3)]
    threads.append(threading.Thread(target=watch, args=[app]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watch(app)
    with app.app_context():
        ends = sa.select(Event.subject_id).where(Event.type.in_(["run.completed", "run.failed"]))
        subjects = session().scalars(ends).all()
    assert len(subjects) == len(set(subjects)) == 3


def test_only_a_heartbeat_check_has_an_address(app: Flask, owner: Person) -> None:
    assert make(owner, every=60)["ping_url"] is None
    tokens = {check(owner)[1] for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) > len("/ping/") + 128 / 6 for token in tokens)


@SQLITE
@pytest.mark.parametrize("grace", [0, "P31D", None, "soon"])
def test_a_grace_time_is_between_a_second_and_thirty_days(owner: Person, grace: object) -> None:
    answer = owner.post("/api/schedules", {**HOURLY, "params": {"grace": grace}})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["params.grace"])


def test_a_ping_does_not_void_an_edit(app: Flask, owner: Person, time: Time) -> None:
    schedule, path = check(owner)
    app.test_client().get(path)
    assert owner.get(f"/api/schedules/{schedule['id']}").json["version"] == schedule["version"]
    with app.app_context():
        row = session().get_one(Schedule, UUID(schedule["id"]))
        assert row.ping_told_before == row.next_run_at


def test_an_unknown_token_takes_no_write_lock(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    _schedule, path = check(owner)
    begun: list[None] = []

    @contextmanager
    def counted() -> Iterator[None]:
        begun.append(None)
        with transaction():
            yield

    monkeypatch.setattr("taskapi.schedules.ping_views.transaction", counted)
    assert app.test_client().get("/ping/nobody-knows-it").status_code == 404
    assert begun == []
    assert app.test_client().get(path).status_code == 200
    assert begun == [None]
