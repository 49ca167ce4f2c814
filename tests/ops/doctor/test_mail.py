"""The test message of ``flask admin doctor``"""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from taskapi.clients.mail import MailClient
from taskapi.clients.smtp import SmtpTransport
from taskapi.config import MailSettings
from tests.ops.doctor.conftest import Look
from tests.smtp import MailServer

pytestmark = pytest.mark.one_database


@pytest.fixture
def server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mail(
    app: Flask, settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., MailSettings]:
    """Has the application send by another server."""

    def use(**values: object) -> MailSettings:
        found = MailSettings(server="127.0.0.1", default_sender="Team <team@example.org>", **values)  # type: ignore[arg-type]
        settings(mail=found)
        client = MailClient([SmtpTransport(found)], sender=found.default_sender)
        monkeypatch.setitem(app.extensions, "taskapi_mail", client)
        return found

    return use


def test_it_goes_to_the_address_that_was_named(
    mail: Callable[..., MailSettings], server: MailServer, look: Look
) -> None:
    mail(port=server.port)
    assert look("mail", mail_to="ada@example.org").status == "ok"
    assert server.messages[0]["To"] == "ada@example.org"


def test_it_goes_to_the_sender_otherwise(
    mail: Callable[..., MailSettings], server: MailServer, look: Look
) -> None:
    mail(port=server.port)
    assert look("mail").status == "ok"
    assert server.messages[0]["To"] == "team@example.org"


@pytest.mark.parametrize(
    ("refusal", "said"), [("550 No such user", "550 No such user"), ("451 Greylisted", "451 Greylisted")]
)
def test_a_refusal_is_told_in_the_words_of_the_server(
    mail: Callable[..., MailSettings], server: MailServer, look: Look, refusal: str, said: str
) -> None:
    mail(port=server.port)
    server.refusals["RCPT"] = refusal
    found = look("mail")
    assert (found.status, said in found.detail) == ("fail", True)


def test_nobody_who_listens_is_told(mail: Callable[..., MailSettings], look: Look) -> None:
    mail(port=1)
    found = look("mail")
    assert (found.status, found.advice) == ("fail", "correct MAIL_SERVER and MAIL_PORT, or start the server")


def test_a_server_without_encryption_is_told(
    mail: Callable[..., MailSettings], server: MailServer, look: Look
) -> None:
    mail(port=server.port, use_tls=True)
    found = look("mail")
    assert (found.status, found.advice) == ("fail", "set MAIL_USE_TLS to what the server offers")


def test_without_a_server_it_says_where_messages_are_written(
    app: Flask, look: Look, settings: Callable[..., None]
) -> None:
    assert look("mail").status == "ok"
    assert look("mail").detail.endswith("/mail")
    settings(environment="production")
    assert look("mail").status == "warn"
