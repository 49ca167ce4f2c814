"""The job sweep_emails: messages that would wait for ever otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.connection import open_redis, redis_client
from taskapi.background.names import Queue
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.runtime import runtime_settings
from taskapi.notifications import outbox
from taskapi.notifications.jobs import sweep_emails
from taskapi.notifications.models import Email
from tests.notifications.outbox import deliver_at, queue, the_email
from tests.smtp import MailServer
from tests.work import queued, run_jobs

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def queue_at_noon() -> None:
    with clock.use(lambda: NOON):
        queue()


def sweep_after(seconds: float) -> None:
    with clock.use(lambda: NOON + timedelta(seconds=seconds)):
        sweep_emails()


def run_jobs_after(app: Flask, seconds: float) -> None:
    with clock.use(lambda: NOON + timedelta(seconds=seconds)):
        run_jobs(app)


def test_a_message_queued_while_redis_was_down_is_found(
    app: Flask, mail_server: MailServer, context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        settings = replace(runtime_settings(), redis_url="redis://127.0.0.1:1")
        patch.setitem(app.extensions, "taskapi_redis", open_redis(settings))
        queue_at_noon()
        sweep_after(11)
    assert queued(Queue.MAIL) == []
    sweep_after(12)
    run_jobs_after(app, 12)
    assert len(mail_server.messages) == 1


def test_a_message_that_redis_forgot_is_found(app: Flask, mail_server: MailServer, context: Flask) -> None:
    queue_at_noon()
    redis_client().flushdb()
    sweep_after(11)
    run_jobs_after(app, 11)
    assert len(mail_server.messages) == 1


def test_a_message_that_is_still_queued_is_left_alone(context: Flask) -> None:
    queue_at_noon()
    for seconds in (5, 60, 120):
        sweep_after(seconds)
    assert len(queued(Queue.MAIL)) == 1


def test_a_young_message_is_left_to_its_worker(context: Flask) -> None:
    queue_at_noon()
    redis_client().flushdb()
    sweep_after(9)
    assert queued(Queue.MAIL) == []


def test_a_message_whose_worker_was_killed_is_sent_when_the_lease_has_run_out(
    app: Flask, mail_server: MailServer, context: Flask
) -> None:
    queue_at_noon()
    redis_client().flushdb()
    with clock.use(lambda: NOON), transaction():
        outbox._claim(the_email().id)
    sweep_after(119)
    assert the_email().status == "sending"
    sweep_after(121)
    run_jobs_after(app, 121)
    assert len(mail_server.messages) == 1
    assert (the_email().status, the_email().attempts) == ("sent", 2)


def test_a_message_that_kills_its_workers_is_given_up(context: Flask) -> None:
    queue_at_noon()
    values = {"status": "sending", "attempts": outbox.MAX_ATTEMPTS, "lease_until": NOON}
    with transaction():
        session().execute(sa.update(Email).values(values))
    redis_client().flushdb()
    sweep_after(121)
    assert the_email().status == "failed"
    assert "worker was lost" in str(the_email().last_error)
    assert queued(Queue.MAIL) == []


def test_a_message_whose_pause_is_over_is_sent(app: Flask, mail_server: MailServer, context: Flask) -> None:
    mail_server.refusals["RCPT"] = "450 4.2.0 greylisted"
    queue_at_noon()
    redis_client().flushdb()
    deliver_at(NOON, the_email().id)
    mail_server.refusals.clear()
    sweep_after(39)
    assert queued(Queue.MAIL) == []
    sweep_after(41)
    run_jobs_after(app, 41)
    assert len(mail_server.messages) == 1


@pytest.mark.parametrize("status", ["sent", "failed"])
def test_what_is_settled_stays_settled(context: Flask, status: str) -> None:
    queue_at_noon()
    with transaction():
        session().execute(sa.update(Email).values(status=status))
    redis_client().flushdb()
    sweep_after(3600)
    assert queued(Queue.MAIL) == []
    assert the_email().status == status
