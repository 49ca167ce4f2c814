"""No scheduler runs: the API and what is queued go on, all else waits and comes when there is one."""

import pytest
from flask import Flask

from taskapi.schedules.actions.base import ActionFailed, RunContext
from tests.events.following import relay
from tests.events.webhooks.conftest import inbox, receiver, running
from tests.events.webhooks.making import Inbox, subscribe
from tests.notifications.outbox import mailed
from tests.people import Person
from tests.schedules.conftest import probe, time
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.tasks.making import make_task, titles
from tests.work import run_jobs, tick

__all__ = ("inbox", "probe", "receiver", "running", "time")

pytestmark = pytest.mark.one_database


def changed(person: Person) -> list[str]:
    """What the feed tells of by now."""
    return [item["type"] for item in person.get("/api/changes").json["items"]]


def test_due_times_events_and_all_that_comes_of_them_wait(
    app: Flask, owner: Person, time: Time, inbox: Inbox
) -> None:
    subscribe(owner, inbox.url)
    relay(owner)
    before, schedule = changed(owner), make(owner, every=60)
    make_task(owner, title="Tea")
    time.pass_(seconds=60)
    run_jobs(app)
    assert titles(owner) == ["Tea"]
    assert (runs_of(owner, schedule), changed(owner), mailed(app), inbox.titles) == ([], before, [], [])
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed"]
    assert "task.created" in changed(owner)
    assert ("schedule_created", owner.email) in mailed(app)
    assert inbox.titles == ["Tea"]


def test_a_run_by_hand_is_done_and_its_retry_waits(
    app: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    def fail_at_first(context: RunContext) -> None:
        if context.attempt == 1:
            raise ActionFailed("not yet")

    probe.behave = fail_at_first
    retry = {"max_attempts": 2, "delay": 1}
    schedule = make(owner, action="probe", params={}, cron="0 0 1 1 *", retry=retry)
    owner.post(f"/api/schedules/{schedule['id']}/run")
    run_jobs(app)
    time.pass_(hours=1)
    run_jobs(app)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["attempt"]) == ("pending", 1)
    tick(app)
    assert [run["status"] for run in runs_of(owner, schedule)] == ["completed"]
