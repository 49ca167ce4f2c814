"""E-mails about schedules that do not do what they should, or do it again."""

from typing import Any

import pytest
from flask import Flask

from taskapi.core.db import transaction
from taskapi.core.events import record_event
from tests.notifications.outbox import mailed
from tests.people import Person, make_person
from tests.schedules.making import Time
from tests.smtp import MailServer, body
from tests.work import tick

SCHEDULE = {"schedule_name": "Backup", "action": "webhook", "notify": ["failed"]}
DUE = "2026-11-20T08:30:00+00:00"
ALERTS: dict[str, dict[str, Any]] = {
    "schedule.runs_skipped": {"missed": 1, "last_missed": DUE},
    "run.overdue": {"scheduled_for": DUE, "finish_by": DUE, "status": "running"},
    "schedule.recovered": {"scheduled_for": DUE, "failures_in_row": 3},
    "schedule.paused": {"reason": "failures", "fault": "Paused by itself after 3 failed runs in a row."},
    "schedule.ping_unexpected": {"at": DUE, "next_run_at": DUE, "from": None},
}
KINDS = {
    "schedule.runs_skipped": "run_missed",
    "run.overdue": "run_overdue",
    "schedule.recovered": "run_recovered",
    "schedule.paused": "schedule_paused",
    "schedule.ping_unexpected": "ping_unexpected",
}


def happen(app: Flask, person: Person, event_type: str, **changes: Any) -> None:
    state = {**SCHEDULE, **ALERTS[event_type], **changes}
    subject = (event_type.partition(".")[0], person.id)
    with app.app_context(), transaction():
        record_event(event_type, subject=subject, owner_id=person.id, after=state)
    tick(app)


def told(person: Person) -> list[str]:
    return [item["type"] for item in person.get("/api/notifications").json["items"]]


@pytest.mark.parametrize("event_type", ALERTS)
def test_the_owner_is_told_and_mailed(app: Flask, time: Time, owner: Person, event_type: str) -> None:
    happen(app, owner, event_type)
    assert told(owner) == [KINDS[event_type]]
    assert mailed(app) == [(KINDS[event_type], owner.email)]


@pytest.mark.parametrize("event_type", ALERTS)
def test_a_kind_that_one_switched_off_is_not_mailed(
    app: Flask, time: Time, owner: Person, event_type: str
) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {KINDS[event_type]: False}}})
    happen(app, owner, event_type)
    assert (told(owner), mailed(app)) == ([KINDS[event_type]], [])


@pytest.mark.parametrize(
    ("event_type", "is_told", "is_mailed"),
    [
        ("schedule.runs_skipped", True, False),
        ("run.overdue", True, False),
        ("schedule.recovered", False, False),
        ("schedule.paused", True, True),
        ("schedule.ping_unexpected", True, False),
    ],
)
def test_who_does_not_ask_for_failures_hears_less(
    app: Flask, time: Time, owner: Person, event_type: str, is_told: bool, is_mailed: bool
) -> None:
    happen(app, owner, event_type, notify=[])
    assert (bool(told(owner)), bool(mailed(app))) == (is_told, is_mailed)


@pytest.mark.parametrize(
    ("event_type", "changes"),
    [("schedule.runs_skipped", {"missed": 0, "last_missed": None}), ("schedule.paused", {"reason": None})],
)
def test_skips_that_break_no_deadline_and_pauses_by_hand_are_not_told(
    app: Flask, time: Time, owner: Person, event_type: str, changes: dict[str, Any]
) -> None:
    happen(app, owner, event_type, **changes)
    assert (told(owner), mailed(app)) == ([], [])


def test_the_mail_says_what_happened_in_the_readers_time(
    app: Flask, time: Time, mail_server: MailServer
) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    happen(app, paul, "schedule.runs_skipped")
    (message,) = mail_server.messages
    assert message["Subject"] == "Missed: Backup"
    facts = "The run due on Fri 20 Nov 2026, 09:30 (Europe/Paris) was not started by its deadline"
    for kind in ("plain", "html"):
        assert facts in body(message, kind)
    assert f"Schedule:  {paul.id}\n" in body(message, "plain")
