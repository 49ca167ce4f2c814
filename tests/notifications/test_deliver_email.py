"""The job deliver_email: one attempt at one message of the outbox."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskapi.accounts.models import User
from taskapi.background.names import Queue
from taskapi.clients.mail import mail_client
from taskapi.clients.smtp import MailError
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.notifications import outbox
from taskapi.notifications.closing import OWNER_INACTIVE
from taskapi.notifications.jobs import deliver_email
from taskapi.notifications.models import Email
from tests.counted import since_now
from tests.notifications.outbox import deliver_at, queue, the_email
from tests.people import Person
from tests.smtp import MailServer, body
from tests.work import queued, run_jobs

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def queue_at_noon() -> None:
    with clock.use(lambda: NOON):
        queue()


def test_a_queued_message_is_delivered(app: Flask, mail_server: MailServer, context: Flask) -> None:
    queue()
    run_jobs(app)
    (message,) = mail_server.messages
    assert (message["To"], message["Subject"]) == ("guest@example.com", "Reminder")
    assert "At four." in body(message, "plain")
    assert (the_email().status, the_email().attempts) == ("sent", 1)


def test_the_message_carries_the_link_to_unsubscribe(
    app: Flask, mail_server: MailServer, context: Flask
) -> None:
    queue()
    run_jobs(app)
    assert mail_server.messages[0]["List-Unsubscribe"] == f"<{the_email().unsubscribe_url}>"


def test_a_key_mails_once_however_often_the_work_is_done(
    app: Flask, mail_server: MailServer, context: Flask
) -> None:
    assert [queue("a"), queue("a"), queue("b")] == [True, False, True]
    run_jobs(app)
    assert not queue("a")
    run_jobs(app)
    assert len(mail_server.messages) == 2


def test_a_transaction_that_rolls_back_queues_nothing(context: Flask) -> None:
    with pytest.raises(ZeroDivisionError):
        _queue_and_fail()
    assert queued(Queue.MAIL) == []


def _queue_and_fail() -> None:
    with transaction():
        queue()
        raise ZeroDivisionError


def test_a_job_done_twice_sends_once(mail_server: MailServer, context: Flask) -> None:
    queue()
    for _ in range(2):
        deliver_email(str(the_email().id))
    assert len(mail_server.messages) == 1


def test_a_job_of_a_message_that_is_no_more_does_nothing(mail_server: MailServer, context: Flask) -> None:
    with capture_logs() as lines:
        deliver_email(str(uuid4()))
    assert [line["event"] for line in lines] == ["email.not_pending"]


def test_a_temporary_refusal_is_tried_again_after_growing_pauses_until_it_is_taken(
    mail_server: MailServer, context: Flask
) -> None:
    mail_server.refusals["RCPT"] = "450 4.2.0 greylisted"
    queue_at_noon()
    counted = since_now(context, "taskapi_mails_total")
    moment, pauses = NOON, []
    with capture_logs() as lines:
        for _ in range(4):
            deliver_at(moment, the_email().id)
            again = the_email().next_attempt_at
            assert again is not None
            pauses.append((again - moment).total_seconds())
            moment = again
    mail_server.refusals.clear()
    deliver_at(moment, the_email().id)
    assert pauses == [30, 60, 120, 240]
    told = [line["pause"] for line in lines if line["event"] == "email.postponed"]
    assert told == pauses
    assert counted() == {("postponed",): 4, ("sent",): 1}
    assert (the_email().status, the_email().attempts, the_email().last_error) == ("sent", 5, None)


def test_a_mail_that_is_refused_while_its_sender_is_switched_off_is_given_up(
    mail_server: MailServer, context: Flask, owner: Person
) -> None:
    mail_server.refusals["RCPT"] = "450 4.2.0 greylisted"
    with clock.use(lambda: NOON):
        queue(sender_id=owner.id)
    deliver_at(NOON, the_email().id)
    with transaction():
        session().get_one(User, owner.id).is_active = False
    mail_server.refusals.clear()
    deliver_at(NOON + timedelta(minutes=1), the_email().id)
    assert (the_email().status, the_email().last_error, mail_server.messages) == (
        "failed",
        OWNER_INACTIVE,
        [],
    )


def test_no_mail_is_sent_before_its_pause_is_over(mail_server: MailServer, context: Flask) -> None:
    mail_server.refusals["RCPT"] = "450 4.2.0 greylisted"
    queue_at_noon()
    deliver_at(NOON, the_email().id)
    deliver_at(NOON + timedelta(seconds=29), the_email().id)
    assert mail_server.tried == 1
    assert the_email().last_error == "450 4.2.0 greylisted"


def test_after_a_day_of_temporary_refusals_it_is_given_up(mail_server: MailServer, context: Flask) -> None:
    mail_server.refusals["RCPT"] = "450 4.2.0 greylisted"
    queue_at_noon()
    moment, longest = NOON, timedelta()
    while (email := the_email()).status == "pending":
        deliver_at(moment, email.id)
        again = the_email().next_attempt_at or moment
        moment, longest = again, max(longest, again - moment)
    assert longest == timedelta(hours=4)
    assert (email.status, mail_server.tried) == ("failed", outbox.MAX_ATTEMPTS)
    assert timedelta(hours=18) < moment - NOON < timedelta(hours=36)


def test_a_permanent_refusal_is_given_up_at_once_with_its_reason(
    mail_server: MailServer, context: Flask
) -> None:
    mail_server.refusals["RCPT"] = "550 5.1.1 no such user"
    counted = since_now(context, "taskapi_mails_total")
    queue_at_noon()
    with capture_logs() as lines:
        for hours in (0, 1):
            deliver_at(NOON + timedelta(hours=hours), the_email().id)
    assert mail_server.tried == 1
    assert counted() == {("failed",): 1}
    assert [line["error"] for line in lines if line["event"] == "email.given_up"] == [
        "550 5.1.1 no such user"
    ]
    assert (the_email().status, the_email().last_error) == ("failed", "550 5.1.1 no such user")


def test_two_workers_with_the_same_job_send_once(app: Flask, mail_server: MailServer, context: Flask) -> None:
    queue()
    email_id = the_email().id
    workers = [threading.Thread(target=_deliver, args=(app, str(email_id))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(mail_server.messages) == 1


def _deliver(app: Flask, email_id: str) -> None:
    with app.app_context():
        deliver_email(email_id)


def test_a_late_worker_does_not_overwrite_the_outcome_of_another(
    app: Flask, mail_server: MailServer, context: Flask
) -> None:
    counted = since_now(context, "taskapi_mails_total")
    queue_at_noon()
    email_id = the_email().id
    with clock.use(lambda: NOON), transaction():
        late = outbox._claim(email_id)
    assert late is not None
    with clock.use(lambda: NOON + timedelta(minutes=3)):
        outbox.sweep()
        outbox.deliver(email_id=email_id, client=mail_client())
        with transaction():
            outbox._settle(late, MailError("too late", temporary=False))
    assert (the_email().status, the_email().last_error) == ("sent", None)
    assert counted() == {("sent",): 1}


def test_what_the_server_took_is_noted_though_the_database_was_away(
    mail_server: MailServer, context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    settle, tried = outbox._settle, 0

    def fail_at_first(email: Email, error: MailError | None) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise OperationalError("UPDATE emails", None, Exception("the connection is lost"))
        settle(email, error)

    monkeypatch.setattr(outbox, "_settle", fail_at_first)
    deliver_email(str(the_email().id))
    assert (the_email().status, len(mail_server.messages)) == ("sent", 1)


def test_mail_to_a_user_goes_with_the_user(owner: Person, context: Flask) -> None:
    queue(recipient=owner.email, user_id=owner.id)
    assert the_email().user_id == owner.id
