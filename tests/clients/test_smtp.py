"""One connection to the mail server serves for message after message, and never costs one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask_mail import Mail, Message

from taskapi.clients import smtp
from taskapi.clients.smtp import MailError, SmtpTransport
from taskapi.config import MailSettings
from tests.smtp import MailServer


@contextmanager
def serving(port: int = 0) -> Iterator[MailServer]:
    server = MailServer(port=port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server() -> Iterator[MailServer]:
    with serving() as server:
        yield server


@contextmanager
def sending_to(port: int) -> Iterator[SmtpTransport]:
    app = Flask("mail")
    Mail(app)
    with app.app_context():
        transport = SmtpTransport(MailSettings(server="127.0.0.1", port=port))
        yield transport
        transport.hang_up()


@pytest.fixture
def transport(server: MailServer) -> Iterator[SmtpTransport]:
    with sending_to(server.port) as transport:
        yield transport


def message(subject: str = "One of many") -> Message:
    return Message(subject, ["olivia@example.org"], "As it is.", sender="tasks@example.org")


def test_messages_that_follow_each_other_share_a_connection(
    server: MailServer, transport: SmtpTransport
) -> None:
    for number in range(3):
        transport.send(message(str(number)), keep_open=True)
    assert [each["Subject"] for each in server.messages] == ["0", "1", "2"]
    assert server.greeted == 1


def test_who_does_not_ask_for_it_keeps_none(server: MailServer, transport: SmtpTransport) -> None:
    for _ in range(2):
        transport.send(message())
    assert server.greeted == 2


def test_after_hanging_up_there_is_a_new_one(server: MailServer, transport: SmtpTransport) -> None:
    for _ in range(2):
        transport.send(message(), keep_open=True)
        transport.hang_up()
    transport.hang_up()
    assert (server.greeted, len(server.messages)) == (2, 2)


def test_a_server_that_was_restarted_meanwhile_gets_the_message() -> None:
    with serving() as server:
        port = int(server.port)
        kept = sending_to(port)
        transport = kept.__enter__()
        transport.send(message(), keep_open=True)
    with serving(port) as server:
        transport.send(message(), keep_open=True)
        assert len(server.messages) == 1
        kept.__exit__(None, None, None)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_where_something_was_refused_the_next_message_has_a_new_one(
    server: MailServer, transport: SmtpTransport, step: str
) -> None:
    transport.send(message(), keep_open=True)
    server.refusals[step] = "550 no"
    with pytest.raises(MailError):
        transport.send(message("refused"), keep_open=True)
    server.refusals.clear()
    transport.send(message(), keep_open=True)
    assert ([each["Subject"] for each in server.messages], server.greeted) == (["One of many"] * 2, 2)


def test_a_connection_is_not_used_for_ever(
    server: MailServer, transport: SmtpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "MESSAGES_EACH", 2)
    for _ in range(5):
        transport.send(message(), keep_open=True)
    assert (server.greeted, len(server.messages)) == (3, 5)


def test_each_thread_has_its_own(server: MailServer, transport: SmtpTransport) -> None:
    app: Any = Flask("mail")
    Mail(app)

    def send() -> None:
        with app.app_context():
            transport.send(message(), keep_open=True)
            transport.hang_up()

    transport.send(message(), keep_open=True)
    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    transport.send(message(), keep_open=True)
    assert (server.greeted, len(server.messages)) == (2, 3)
