"""Reminders: a notification for the owner of the schedule, and an e-mail to them or somebody else."""

from typing import Any

import pytest
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.notifications.recipients import MailLimitReached
from taskapi.notifications.service import remind
from tests.notifications.outbox import emails, mailed, the_email
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.settings import settings_changed
from tests.smtp import MailServer, body
from tests.work import tick


def run_reminder(app: Flask, time: Time, owner: Person, **params: str) -> dict[str, object]:
    """Let a schedule remind once; the result of its run."""
    schedule = make(
        owner,
        name="Tea",
        params={"message": "Tea is ready\nin the kitchen.", **params},
        run_at="2026-11-20T09:01:00Z",
        notify=[],
    )
    time.pass_(seconds=61)
    tick(app)
    result: dict[str, object] = runs_of(owner, schedule)[0]["result"]
    return result


def titles(person: Person) -> list[str]:
    return [item["title"] for item in person.get("/api/notifications").json["items"]]


def test_the_owner_is_reminded_in_the_application_and_by_email(
    app: Flask, time: Time, owner: Person, mail_server: MailServer
) -> None:
    assert run_reminder(app, time, owner) == {"sent_to": [owner.email]}
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == (owner.email, "Reminder: Tea")
    assert "Tea is ready\nin the kitchen." in body(message, "plain")
    assert titles(owner) == ["Tea"]


def test_a_mail_server_that_refuses_fails_no_run_and_keeps_nobody_from_being_told(
    context: Flask, time: Time, owner: Person, mail_server: MailServer
) -> None:
    mail_server.refusals["MAIL"] = "454 4.7.0 not now"
    assert run_reminder(context, time, owner) == {"sent_to": [owner.email]}
    assert titles(owner) == ["Tea"]
    email = the_email()
    assert (email.status, email.attempts, email.last_error) == ("pending", 1, "454 4.7.0 not now")
    assert mail_server.messages == []


def test_somebody_else_is_reminded_by_email_and_told_who_asked(
    app: Flask, time: Time, owner: Person, mail_server: MailServer
) -> None:
    assert run_reminder(app, time, owner, to="guest@example.com") == {"sent_to": ["guest@example.com"]}
    (message,) = mail_server.messages
    assert message["To"] == "guest@example.com"
    assert "olivia asked for this reminder." in body(message, "plain")
    assert titles(owner) == ["Tea"]


def test_who_wants_no_reminders_by_email_gets_the_notification_alone(
    app: Flask, time: Time, owner: Person
) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"reminder": False}}})
    assert run_reminder(app, time, owner) == {"sent_to": []}
    assert mailed(app) == []
    assert titles(owner) == ["Tea"]


def test_preferences_for_other_kinds_do_not_matter(app: Flask, time: Time, owner: Person) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"run_failed": False}}})
    run_reminder(app, time, owner)
    assert mailed(app) == [("reminder", owner.email)]


def test_reminding_twice_for_one_run_reminds_once(owner: Person, context: Flask) -> None:
    for _ in range(2):
        with transaction():
            sent_to = remind(user_id=owner.id, title="Tea", message="Now.", to=None, key="run:1")
        assert sent_to == [owner.email]
    assert len(emails()) == 1
    assert titles(owner) == ["Tea"]


def test_a_deactivated_owner_gets_no_email(owner: Person, context: Flask) -> None:
    with transaction():
        user = session().get(User, owner.id)
        assert user is not None
        user.is_active = False
    with transaction():
        assert remind(user_id=owner.id, title="Tea", message="Now.", to=None, key="run:1") == []


@pytest.mark.parametrize(("full_name", "asker"), [("Olivia Park", "Olivia Park (olivia)"), (None, "olivia")])
def test_the_asker_is_called_by_the_best_name_known(
    owner: Person, context: Flask, full_name: str | None, asker: str
) -> None:
    owner.patch("/api/auth/me", {"full_name": full_name})
    with transaction():
        remind(user_id=owner.id, title="Tea", message="Now.", to="guest@example.com", key="run:1")
    assert f"{asker} asked for this reminder." in the_email().text


def remind_of(key: str, to: str | None, asker: Person) -> list[str]:
    with transaction():
        return remind(user_id=asker.id, title="Tea", message="Now.", to=to, key=key)


def confirm(person: Person) -> None:
    with transaction():
        session().get_one(User, person.id).email_verified = True


def test_a_user_has_no_more_mails_sent_to_others_than_the_limit(
    context: Flask, time: Time, owner: Person, teammate: Person
) -> None:
    confirm(owner)
    with settings_changed(context, user_mails_per_hour=2):
        assert remind_of("run:1", "a@example.com", owner) == ["a@example.com"]
        time.pass_(minutes=20)
        assert remind_of("run:2", "b@example.com", owner) == ["b@example.com"]
        time.pass_(minutes=10)
        with pytest.raises(MailLimitReached) as caught:
            remind_of("run:3", "a@example.com", owner)
        assert caught.value.retry_after in (30 * 60, 50 * 60)
        # What was mailed already is not counted again, nor what goes to oneself, nor what others send.
        for key, to, asker in (
            ("run:1", "a@example.com", owner),
            ("run:4", None, owner),
            ("run:5", owner.email.upper(), owner),
            ("run:6", "a@example.com", teammate),
        ):
            assert len(remind_of(key, to, asker)) == 1
        assert [email.sender_id for email in emails()] == [owner.id, owner.id, None, None, teammate.id]
        time.pass_(minutes=30)
        assert remind_of("run:3", "a@example.com", owner) == ["a@example.com"]
    with settings_changed(context, user_mails_per_hour=0):
        assert [len(remind_of(f"run:{number}", "a@example.com", owner)) for number in (10, 11, 12)] == [1] * 3


def test_who_wait_together_for_room_come_back_as_it_comes(context: Flask, time: Time, owner: Person) -> None:
    with settings_changed(context, user_mails_per_hour=20):
        for number in range(20):
            remind_of(f"run:{number}", "a@example.com", owner)
            time.pass_(minutes=1)
        moments = set()
        for _ in range(200):
            with pytest.raises(MailLimitReached) as caught:
                remind_of("another", "a@example.com", owner)
            moments.add(caught.value.retry_after / 60)
    # Each of the twenty that leave makes room for one. Not to see fifteen of them has no chance.
    assert moments <= set(range(40, 60))
    assert len(moments) >= 15


def test_an_address_that_nobody_has_confirmed_is_mailed_no_more_than_that(
    context: Flask, time: Time, owner: Person
) -> None:
    with settings_changed(context, user_mails_per_hour=2):
        told = [remind_of(f"run:{number}", None, owner) for number in range(4)]
        assert told == [[owner.email], [owner.email], [], []]
        assert remind_of("run:1", None, owner) == [owner.email]
        assert [email.sender_id for email in emails()] == [owner.id, owner.id]
        assert titles(owner) == ["Tea"] * 4
        confirm(owner)
        remind_of("run:4", None, owner)
        assert [email.sender_id for email in emails()] == [owner.id, owner.id, None]


def test_a_run_beyond_the_limit_says_so_and_goes_on_when_there_is_room(
    app: Flask, time: Time, owner: Person
) -> None:
    retry = {"max_attempts": 2, "delay": 1, "max_delay": 7200}
    due: dict[str, Any] = {"run_at": "2026-11-20T09:01:00Z", "notify": [], "retry": retry}
    with settings_changed(app, user_mails_per_hour=1):
        plans = [make(owner, params={"message": "x", "to": "a@example.com"}, **due) for _ in range(2)]
        time.pass_(seconds=61)
        tick(app)
        (first,), (second,) = (runs_of(owner, plan) for plan in plans)
        late = first if first["status"] == "pending" else second
        assert sorted((first["status"], second["status"])) == ["completed", "pending"]
        assert late["error"]["code"] == "mail_limit_reached"
        assert titles(owner) == [plans[0]["name"]]
        time.pass_(minutes=59)
        tick(app)
        assert owner.get(f"/api/runs/{late['id']}").json["status"] == "pending"
        time.pass_(minutes=2)
        tick(app)
        assert owner.get(f"/api/runs/{late['id']}").json["status"] == "completed"
