"""What the owner of a schedule is told, as ``notify`` says: when it is made and how its runs end."""

from itertools import chain, combinations

import pytest
from flask import Flask

from taskapi.schedules.actions.base import ActionFailed, RunContext
from tests.notifications.outbox import mailed
from tests.people import Person, make_person
from tests.schedules.making import Time, make
from tests.schedules.probe import installed
from tests.smtp import MailServer, body
from tests.work import tick

WORDS = ("created", "completed", "failed")
COMBINATIONS = list(chain.from_iterable(combinations(WORDS, n) for n in range(4)))
ONCE = {"run_at": "2026-11-20T09:01:00Z"}


def _act(context: RunContext, _params: dict[str, object]) -> None:
    if "fail" in context.schedule_name:
        raise ActionFailed("The kettle is <broken>.", code="no_kettle", permanent=True)


def run_once(app: Flask, time: Time, owner: Person, name: str, **fields: object) -> None:
    """Make a schedule whose action fails if its name says so, and let it run."""
    with installed("probe", _act):
        make(owner, name=name, action="probe", params={}, **fields)
        tick(app)
        time.pass_(seconds=61)
        tick(app)


# That each kind is sent at all, those below show on both databases.
@pytest.mark.one_database
@pytest.mark.parametrize("outcome", ["completed", "failed"])
@pytest.mark.parametrize("notify", COMBINATIONS, ids=" ".join)
def test_the_owner_is_told_what_notify_names(
    app: Flask, time: Time, owner: Person, notify: tuple[str, ...], outcome: str
) -> None:
    run_once(
        app, time, owner, "tea" if outcome == "completed" else "failing tea", notify=list(notify), **ONCE
    )
    expected = ["schedule_created"] if "created" in notify else []
    expected += [f"run_{outcome}"] if outcome in notify else []
    assert mailed(app) == [(kind, owner.email) for kind in expected]


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [(ONCE, ["schedule_created", "run_completed"]), ({"every": 60}, ["schedule_created"])],
)
def test_without_notify_it_depends_on_the_trigger(
    app: Flask, time: Time, owner: Person, trigger: dict[str, object], expected: list[str]
) -> None:
    run_once(app, time, owner, "tea", **trigger)
    assert [kind for kind, _recipient in mailed(app)] == expected


def test_a_failure_is_told_with_its_reason(
    app: Flask, time: Time, owner: Person, mail_server: MailServer
) -> None:
    run_once(app, time, owner, "failing tea", notify=["failed"], **ONCE)
    (message,) = mail_server.messages
    assert message["Subject"] == "Failed: failing tea"
    assert "The kettle is <broken>." in body(message, "plain")
    assert "no_kettle" in body(message, "plain")
    assert "The kettle is &lt;broken&gt;." in body(message, "html")


def test_times_are_those_of_the_reader(app: Flask, time: Time, mail_server: MailServer) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    run_once(app, time, paul, "tea", **ONCE)
    created, completed = mail_server.messages
    assert "It runs on Fri 20 Nov 2026, 10:01 (Europe/Paris)." in body(created, "plain")
    assert "The run due on Fri 20 Nov 2026, 10:01 (Europe/Paris) completed." in body(completed, "plain")


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (ONCE, "Once"),
        ({"cron": "30 8 * * mon"}, "By the cron line 30 8 * * mon (UTC)"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO"}, "By the rule FREQ=WEEKLY;BYDAY=MO (UTC)"),
        ({"every": 1_000_000}, "Every 11 days 13 hours 46 minutes 40 seconds"),
    ],
)
def test_a_new_schedule_is_told_with_its_trigger_in_words(
    app: Flask, time: Time, owner: Person, mail_server: MailServer, trigger: dict[str, object], words: str
) -> None:
    make(owner, **trigger)
    tick(app)
    assert f"When:      {words}\n" in body(mail_server.messages[0], "plain")


@pytest.mark.parametrize("kind", ["schedule_created", "run_completed", "run_failed"])
def test_a_kind_that_one_switched_off_is_not_mailed(app: Flask, time: Time, owner: Person, kind: str) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {kind: False}}})
    outcome = "failing" if kind == "run_failed" else "tea"
    run_once(app, time, owner, outcome, notify=list(WORDS), **ONCE)
    assert kind not in dict(mailed(app))
    assert len(mailed(app)) == 1


def test_the_end_of_a_run_is_a_notification_even_without_email(app: Flask, time: Time, owner: Person) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"run_failed": False}}})
    run_once(app, time, owner, "failing tea", notify=["failed"], **ONCE)
    (item,) = owner.get("/api/notifications").json["items"]
    assert (item["type"], item["title"]) == ("run_failed", "Failed: failing tea")
    assert item["message"] == "The kettle is <broken>."


def test_nobody_else_is_told(app: Flask, time: Time, owner: Person, teammate: Person) -> None:
    run_once(app, time, owner, "failing tea", notify=list(WORDS), **ONCE)
    assert teammate.get("/api/notifications/unread-count").json == {"unread_count": 0}
    assert {recipient for _kind, recipient in mailed(app)} == {owner.email}


def test_a_run_asked_for_by_hand_is_told_as_such(
    app: Flask, time: Time, owner: Person, mail_server: MailServer
) -> None:
    schedule = make(owner, cron="0 0 1 1 *", notify=["completed"])
    owner.post(f"/api/schedules/{schedule['id']}/run")
    tick(app)
    message = next(m for m in mail_server.messages if m["Subject"].startswith("Completed"))
    assert "The run asked for on Fri 20 Nov 2026, 09:00 (UTC) completed." in body(message, "plain")


def test_a_new_schedule_is_a_notification_even_without_email(app: Flask, owner: Person) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"schedule_created": False}}})
    make(owner, name="tea", every=3600, notify=["created"])
    make(owner, name="coffee", every=3600, notify=[])
    tick(app)
    (item,) = owner.get("/api/notifications").json["items"]
    assert (item["type"], item["title"], item["message"]) == (
        "schedule_created",
        "Scheduled: tea",
        "Every hour",
    )
