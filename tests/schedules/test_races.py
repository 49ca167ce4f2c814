"""Control by hand against dispatchers and workers at the same time: nothing lost, nothing doubled."""

import random
import threading
import time as real_time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine import claims, counts
from taskapi.schedules.engine.cancelling import end_overdue_cancels
from taskapi.schedules.engine.dispatch import dispatch_due
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import make
from tests.schedules.probe import Probe
from tests.work import dispatch_all, run_jobs

# SQLite has one writer at a time: there is nothing to race.
pytestmark = pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)

SECONDS = 4.0
ONE = timedelta(seconds=1)
# How a run may have ended, and why.
EXPLAINED = {
    ("completed", None),
    ("failed", None),
    ("cancelled", "manual"),
    ("cancelled", "overlap"),
    ("skipped", "manual"),
    ("skipped", "overlap"),
    ("skipped", "paused"),
    ("skipped", "catch_up"),
}


class Crowd:
    """Threads that do things until they are told to stop; what one raises is raised at the end."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def again_and_again(self, act: Callable[[], object], *, pause: float) -> None:
        def loop() -> None:
            try:
                while not self.over.is_set():
                    with self.app.app_context():
                        act()
                    self.over.wait(pause)
            except BaseException as error:  # noqa: BLE001 - a thread must hand its failure to the test
                self.errors.append(error)

        self._threads.append(threading.Thread(target=loop))

    @contextmanager
    def working(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        yield
        self.over.set()
        for thread in self._threads:
            thread.join(timeout=20)
        assert self.errors == []


def at_once(app: Flask, number: int, act: Callable[[int], int]) -> Counter[int]:
    """Do something in so many threads at the same moment; how often each number came back."""
    barrier, answers = threading.Barrier(number), []

    def one(position: int) -> None:
        with app.app_context():
            barrier.wait()
            answers.append(act(position))

    threads = [threading.Thread(target=one, args=[position]) for position in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return Counter(answers)


def with_own_client(app: Flask, person: Person) -> Person:
    return replace(person, client=app.test_client())


def fail_now_and_then(context: RunContext) -> None:
    real_time.sleep(0.01)
    if context.scheduled_for.second % 4 == 0 and context.attempt == 1:
        raise ActionFailed("now and then", permanent=True)


def test_the_ledger_is_whole_whatever_people_do_meanwhile(app: Flask, owner: Person, probe: Probe) -> None:
    probe.behave = fail_now_and_then
    start = datetime.now(UTC).replace(microsecond=0) + 2 * ONE
    quick = {"action": "probe", "params": {}, "notify": [], "every": 1, "catch_up": "all"}
    schedules = [
        make(owner, **quick, starts_at=start.isoformat(), overlap=overlap)
        for overlap in ("allow", "skip", "queue", "replace") * 3
    ]
    crowd = Crowd(app)
    for _ in range(3):
        crowd.again_and_again(dispatch_due, pause=0.01)
        crowd.again_and_again(lambda: run_jobs(app), pause=0.01)
    crowd.again_and_again(end_overdue_cancels, pause=0.5)
    for act in (edit, pause_and_resume, skip_next, run_now, cancel_some_run, retry_some_run):
        crowd.again_and_again(to_any_of(schedules, act, with_own_client(app, owner)), pause=0.05)
    with crowd.working():
        real_time.sleep(SECONDS)
    let_everything_end(app, owner, schedules)
    with app.app_context():
        for schedule in schedules:
            check_ledger(UUID(schedule["id"]), start)


def to_any_of(
    schedules: list[dict[str, Any]],
    act: Callable[[Person, dict[str, Any], random.Random], None],
    person: Person,
) -> Callable[[], None]:
    chance = random.Random(act.__name__)
    return lambda: act(person, chance.choice(schedules), chance)


def edit(person: Person, schedule: dict[str, Any], chance: random.Random) -> None:
    expect(person.patch(path(schedule), {"every": chance.choice([1, 2])}), 200)


def pause_and_resume(person: Person, schedule: dict[str, Any], chance: random.Random) -> None:
    expect(person.post(f"{path(schedule)}/pause"), 200)
    real_time.sleep(chance.random() / 2)
    expect(person.post(f"{path(schedule)}/resume"), 200)


def skip_next(person: Person, schedule: dict[str, Any], chance: random.Random) -> None:
    real_time.sleep(chance.random() / 2)
    due = person.get(path(schedule)).json["next_run_at"]
    # It may have been dispatched meanwhile.
    expect(person.post(f"{path(schedule)}/skip", {"at": due}), 200, 422)


def run_now(person: Person, schedule: dict[str, Any], _chance: random.Random) -> None:
    expect(person.post(f"{path(schedule)}/run"), 202)


# A run of a due time that was left out goes when the trigger changes: then there is none.
def cancel_some_run(person: Person, schedule: dict[str, Any], chance: random.Random) -> None:
    if runs := person.get(f"{path(schedule)}/runs", query_string={"status": ["pending", "running"]}).json[
        "items"
    ]:
        expect(person.post(f"/api/runs/{chance.choice(runs)['id']}/cancel"), 200, 404, 409)


def retry_some_run(person: Person, schedule: dict[str, Any], chance: random.Random) -> None:
    query = {"status": ["failed", "cancelled", "skipped"]}
    if runs := person.get(f"{path(schedule)}/runs", query_string=query).json["items"]:
        expect(person.post(f"/api/runs/{chance.choice(runs)['id']}/retry"), 200, 404, 409)


def path(schedule: dict[str, Any]) -> str:
    return f"/api/schedules/{schedule['id']}"


def expect(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text


def let_everything_end(app: Flask, owner: Person, schedules: list[dict[str, Any]]) -> None:
    """No due time comes any more, nobody is paused, and what is open is done."""
    ended = datetime.now(UTC)
    for schedule in schedules:
        expect(owner.post(f"{path(schedule)}/resume"), 200)
        # Later than the next due time, whichever definition holds, and however many were left out by hand.
        following = datetime.fromisoformat(owner.get(path(schedule)).json["next_run_at"])
        ended = max(ended, following, datetime.now(UTC)) + 3 * ONE
        expect(owner.patch(path(schedule), {"ends_at": ended.isoformat()}), 200)
    real_time.sleep(max((ended - datetime.now(UTC)).total_seconds(), 0.0))
    for _ in range(200):
        with app.app_context():
            dispatch_all()
            rescue_runs()
            end_overdue_cancels()
        run_jobs(app)
        with app.app_context():
            if session().scalar(sa.select(sa.func.count()).select_from(Run).where(claims.IS_OPEN)) == 0:
                return
    raise AssertionError("something stays open")


def check_ledger(schedule_id: UUID, start: datetime) -> None:
    schedule = session().get_one(Schedule, schedule_id)
    runs = session().scalars(sa.select(Run).where(Run.schedule_id == schedule_id)).all()
    due = Counter(run.scheduled_for for run in runs if run.trigger != "manual")
    assert set(due.values()) == {1}
    assert schedule.ends_at is not None
    # Every second or every other one: the even ones are due by either definition.
    even = {start + 2 * number * ONE for number in range(60)}
    past = {at for at in even if at < schedule.ends_at}
    assert past <= due.keys(), sorted(past - due.keys())
    assert {(at - start) % ONE for at in due} == {timedelta()}
    assert {(run.status, run.reason) for run in runs} <= EXPLAINED
    assert counts.counted([schedule_id])[schedule_id] == Counter(run.status for run in runs)
    assert schedule.status == "completed"


def failed_run(app: Flask, owner: Person, probe: Probe) -> UUID:
    def fail(_context: RunContext) -> None:
        raise ActionFailed("no", permanent=True)

    probe.behave = fail
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", notify=[])
    run_id = UUID(owner.post(f"{path(schedule)}/run").json["id"])
    run_jobs(app)
    return run_id


def test_of_many_retries_at_once_one_opens_the_run(app: Flask, owner: Person, probe: Probe) -> None:
    run_id = failed_run(app, owner, probe)

    def retry(_position: int) -> int:
        return with_own_client(app, owner).post(f"/api/runs/{run_id}/retry").status_code

    assert at_once(app, 8, retry) == {200: 1, 409: 7}
    run_jobs_of_dispatch(app)
    assert len(probe.calls) == 2
    assert owner.get(f"/api/runs/{run_id}").json["attempt"] == 2


def run_jobs_of_dispatch(app: Flask) -> None:
    with app.app_context():
        dispatch_all()
    run_jobs(app)


def test_a_bulk_retry_and_single_ones_open_each_run_once(app: Flask, owner: Person, probe: Probe) -> None:
    run_ids = [failed_run(app, owner, probe) for _ in range(4)]

    def retry(position: int) -> int:
        person = with_own_client(app, owner)
        if position % 2:
            return int(person.post("/api/runs/retry").json["retried"])
        return int(person.post(f"/api/runs/{run_ids[position // 2]}/retry").status_code == 200)

    opened = at_once(app, 8, retry)
    assert sum(number * count for number, count in opened.items()) == 4
    run_jobs_of_dispatch(app)
    assert len(probe.calls) == 8


def test_a_cancel_and_a_worker_that_claims_agree(app: Flask, owner: Person, probe: Probe) -> None:
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", notify=[])
    for _ in range(10):
        run_id = UUID(owner.post(f"{path(schedule)}/run").json["id"])

        def act(position: int, run_id: UUID = run_id) -> int:
            if position:
                return with_own_client(app, owner).post(f"/api/runs/{run_id}/cancel").status_code
            with transaction():
                return int(claims.claim_run(run_id, worker="fast", lease_seconds=20) is not None)

        answers = at_once(app, 2, act)
        run = owner.get(f"/api/runs/{run_id}").json
        claimed = answers[1] == 1
        assert answers[200] == 1
        assert run["status"] == ("running" if claimed else "cancelled")
        assert (run["cancel_requested_at"] is not None) == claimed


def test_of_many_edits_of_one_version_one_is_made(app: Flask, owner: Person) -> None:
    schedule = make(owner, every=3600, notify=[])
    headers = {"If-Match": owner.get(path(schedule)).headers["ETag"]}

    def change(position: int) -> int:
        person = with_own_client(app, owner)
        return person.patch(path(schedule), {"every": 60 + position}, headers=headers).status_code

    assert at_once(app, 8, change) == {200: 1, 412: 7}
    assert owner.get(path(schedule)).json["version"] == 2


def test_leaving_out_one_due_time_many_times_at_once_is_once(app: Flask, owner: Person) -> None:
    schedule = make(owner, every=3600, notify=[])

    def leave_out(_position: int) -> int:
        answer = with_own_client(app, owner).post(f"{path(schedule)}/skip", {"at": schedule["next_run_at"]})
        return answer.status_code

    assert at_once(app, 8, leave_out) == {200: 8}
    assert owner.get(f"{path(schedule)}/runs").json["total"] == 1
    assert owner.get(path(schedule)).json["version"] == 2
