"""One connection to the mail server serves for message after message, and never costs one."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask
from flask_mail import Mail, Message

from taskapi.clients import smtp
from taskapi.clients.smtp import MailError, SmtpTransport
from taskapi.config import MailSettings
from tests.e2e.conftest import free_port
from tests.smtp import MailServer


@contextmanager
def serving(port: int = 0, *, server: MailServer | None = None) -> Iterator[MailServer]:
    server = server or MailServer(port=port)
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
    port = free_port()
    with serving(port):
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
    assert [each["Subject"] for each in server.messages] == ["One of many"] * 2
    # Where a session refuses the sender, it is tried whether a new one does.
    assert server.greeted == (3 if step == "MAIL" else 2)


class Stingy(MailServer):
    """Takes one message in a session."""

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if getattr(session, "is_used", False):
            return "554 Too many messages in this session"
        session.is_used = True  # type: ignore[attr-defined]
        return await super().handle_MAIL(server, session, envelope, address, options)


def test_what_a_session_refuses_that_has_brought_too_many_goes_over_a_new_one() -> None:
    with serving(server=Stingy()) as server, sending_to(server.port) as transport:
        for _ in range(3):
            transport.send(message(), keep_open=True)
        assert (len(server.messages), server.greeted) == (3, 3)


class Mute(MailServer):
    """Does not say goodbye."""

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(60)
        return "221 Bye"


def test_a_server_that_says_no_goodbye_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "HURRY_SECONDS", 0.2)
    with serving(server=Mute()) as server, sending_to(server.port) as transport:
        transport.send(message(), keep_open=True)
        begun = time.monotonic()
        transport.hang_up()
        assert time.monotonic() - begun < smtp.TIMEOUT_SECONDS / 2


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
