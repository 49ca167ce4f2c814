"""A worker sends what waits over one connection to the mail server, and hangs up when nothing waits."""

import pytest
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from tests.e2e.installation import wait_for
from tests.notifications.outbox import queue
from tests.smtp import MailServer

pytestmark = [pytest.mark.one_database, pytest.mark.usefixtures("signal_handlers")]


def work_off(app: Flask, *, messages: int, threads: int = 1) -> None:
    for number in range(messages):
        queue(key=f"message {number}")
    # The work-horse is forked: it must find no connection of ours.
    db.engine.dispose()
    TaskWorker(app, connection=redis_client(), threads=threads).work(burst=True, logging_level="ERROR")


def test_a_worker_sends_all_that_waits_over_one_connection(context: Flask, mail_server: MailServer) -> None:
    work_off(context, messages=5)
    assert (len(mail_server.messages), mail_server.greeted) == (5, 1)
    wait_for(lambda: mail_server.left == 1, seconds=10, what="hanging up")


def test_its_threads_leave_no_session_open(context: Flask, mail_server: MailServer) -> None:
    work_off(context, messages=10, threads=2)
    assert len(mail_server.messages) == 10
    wait_for(lambda: mail_server.left == mail_server.greeted, seconds=10, what="hanging up")
