"""A worker sends what waits over one connection to the mail server, and hangs up when nothing waits."""

import signal
from collections.abc import Iterator

import pytest
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.worker import TaskWorker
from taskapi.core.db import db
from tests.e2e.installation import wait_for
from tests.notifications.outbox import queue
from tests.smtp import MailServer


@pytest.fixture
def handlers() -> Iterator[None]:
    """A worker takes the process's signals over; they are given back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.one_database
@pytest.mark.usefixtures("handlers")
def test_a_worker_sends_all_that_waits_over_one_connection(context: Flask, mail_server: MailServer) -> None:
    for number in range(5):
        queue(key=f"message {number}")
    # The work-horse is forked: it must find no connection of ours.
    db.engine.dispose()
    TaskWorker(context, connection=redis_client()).work(burst=True, logging_level="ERROR")
    assert (len(mail_server.messages), mail_server.greeted) == (5, 1)
    wait_for(lambda: mail_server.left == 1, seconds=10, what="hanging up")


@pytest.mark.one_database
@pytest.mark.usefixtures("handlers")
def test_its_threads_leave_no_session_open(context: Flask, mail_server: MailServer) -> None:
    for number in range(10):
        queue(key=f"message {number}")
    db.engine.dispose()
    TaskWorker(context, connection=redis_client(), threads=2).work(burst=True, logging_level="ERROR")
    assert len(mail_server.messages) == 10
    wait_for(lambda: mail_server.left == mail_server.greeted, seconds=10, what="hanging up")
