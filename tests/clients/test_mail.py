"""The mail client against real mail servers, and the files it writes without one."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from flask import Flask
from structlog.testing import capture_logs

from taskapi.clients import mail, smtp
from taskapi.clients.mail import OutgoingEmail, init_mail, mail_client
from taskapi.clients.smtp import MailError
from taskapi.config import MailSettings
from tests.conftest import settings_for
from tests.smtp import MailServer, body

EMAIL = OutgoingEmail(
    message_id="0193a4f8-7c1e-7000-8000-000000000001",
    recipient="olivia@example.org",
    subject="Completed: Übersicht 📈",
    text="Grüße\n",
    html="<p>Grüße</p>",
    unsubscribe_url=f"https://tasks.example.org/api/notifications/unsubscribe/{'x' * 300}",
)


@pytest.fixture(scope="module")
def running() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running: MailServer) -> MailServer:
    running.clear()
    return running


def send(folder: Path, email: OutgoingEmail = EMAIL, *, to: MailServer | None = None, **values: str) -> None:
    """Send by a client with these settings."""
    if to is not None:
        values = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(to.port), **values}
    app = Flask("mail")
    init_mail(app, settings_for(folder, "redis://127.0.0.1:1", **values))
    with app.app_context():
        mail_client().send(email)


def refusal(
    folder: Path, email: OutgoingEmail = EMAIL, *, to: MailServer | None = None, **values: str
) -> MailError:
    with pytest.raises(MailError) as caught:
        send(folder, email, to=to, **values)
    return caught.value


def test_a_delivered_message_has_a_plain_and_an_html_text(tmp_path: Path, server: MailServer) -> None:
    send(tmp_path, to=server)
    (message,) = server.messages
    assert body(message, "plain") == "Grüße\n"
    assert body(message, "html").strip() == "<p>Grüße</p>"


def test_headers_say_from_whom_to_whom_and_about_what(tmp_path: Path, server: MailServer) -> None:
    send(tmp_path, to=server, MAIL_DEFAULT_SENDER="Bürö <tasks@example.org>")
    (message,) = server.messages
    assert message["Subject"] == EMAIL.subject
    assert message["To"] == EMAIL.recipient
    assert message["From"] == "Bürö <tasks@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_long_subject_of_any_script_survives(tmp_path: Path, server: MailServer) -> None:
    subject = "Erinnerung: " + "日本語のとても長い件名 " * 20
    send(tmp_path, replace(EMAIL, subject=subject.strip()), to=server)
    assert server.messages[0]["Subject"] == subject.strip()


def test_the_message_id_is_the_same_for_every_attempt(tmp_path: Path, server: MailServer) -> None:
    for _ in range(2):
        send(tmp_path, to=server, MAIL_DEFAULT_SENDER="tasks@bücher.example")
    assert [m["Message-ID"] for m in server.messages] == [f"<{EMAIL.message_id}@xn--bcher-kva.example>"] * 2


def test_the_link_to_unsubscribe_is_one_readable_line(tmp_path: Path, server: MailServer) -> None:
    send(tmp_path, to=server)
    lines = server.raw[0].decode("ascii").split("\r\n")
    assert f"List-Unsubscribe: <{EMAIL.unsubscribe_url}>" in lines
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines


def test_a_message_without_such_a_link_has_no_such_header(tmp_path: Path, server: MailServer) -> None:
    send(tmp_path, replace(EMAIL, unsubscribe_url=None), to=server)
    assert "List-Unsubscribe" not in server.messages[0]
    assert "List-Unsubscribe-Post" not in server.messages[0]


@pytest.mark.parametrize("word", ["x" * 5000, "📈" * 2000, ".\n..\n."])
def test_texts_with_endless_lines_or_lone_dots_arrive_whole(
    tmp_path: Path, server: MailServer, word: str
) -> None:
    send(tmp_path, replace(EMAIL, text=word, html=word), to=server)
    assert body(server.messages[0], "plain").rstrip("\n") == word
    assert max(len(line) for line in server.raw[0].split(b"\r\n")) <= 998


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "Hello\nBcc: eve@example.org"},
        {"subject": "Hello\r\nBcc: eve@example.org"},
        {"subject": "Hello\r\n Bcc: eve@example.org"},
        {"subject": "Hello\x0bBcc: eve@example.org"},
        {"subject": "Hello\u2028Bcc: eve@example.org"},
        {"recipient": "olivia@example.org\r\nBcc: eve@example.org"},
        {"recipient": "olivia@example.org\x00"},
        {"recipient": "olivia@example.org, eve@example.org"},
        {"recipient": "Olivia <olivia@example.org>"},
        {"recipient": ""},
    ],
)
def test_what_would_add_a_header_or_a_recipient_is_refused_for_good(
    tmp_path: Path, server: MailServer, fields: dict[str, Any]
) -> None:
    assert not refusal(tmp_path, replace(EMAIL, **fields), to=server).temporary
    assert server.tried == 0


def test_a_sender_with_a_line_break_is_refused(server: MailServer) -> None:
    app = Flask("mail")
    transport = smtp.SmtpTransport(MailSettings(server="127.0.0.1", port=server.port))
    client = mail.MailClient([transport], sender="a@example.org\r\nBcc: eve@example.org")
    with app.app_context(), pytest.raises(MailError, match="line break"):
        client.send(EMAIL)
    assert server.tried == 0


def test_an_address_that_needs_more_than_ascii_is_refused_for_good(
    tmp_path: Path, server: MailServer
) -> None:
    error = refusal(tmp_path, replace(EMAIL, recipient="jörg@example.org"), to=server)
    assert "ASCII" in str(error)
    assert not error.temporary


def test_a_sender_that_needs_more_than_ascii_waits_for_the_operator(
    tmp_path: Path, server: MailServer
) -> None:
    assert refusal(tmp_path, to=server, MAIL_DEFAULT_SENDER="jörg@example.org").temporary


def test_a_recipient_in_an_international_domain_is_reached(tmp_path: Path, server: MailServer) -> None:
    send(tmp_path, replace(EMAIL, recipient="olivia@bücher.example"), to=server)
    assert server.messages[0]["To"] == "olivia@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("command", "reply", "temporary"),
    [
        ("MAIL", "421 4.3.2 closing", True),
        ("MAIL", "530 5.7.0 authentication required", True),
        ("MAIL", "553 5.1.8 sender refused", False),
        ("RCPT", "450 4.2.0 greylisted", True),
        ("RCPT", "550 5.1.1 no such user", False),
        ("DATA", "451 4.3.0 try again", True),
        ("DATA", "554 5.7.1 spam", False),
    ],
)
def test_replies_say_whether_trying_again_makes_sense(
    tmp_path: Path, server: MailServer, command: str, reply: str, temporary: bool
) -> None:
    server.refusals[command] = reply
    error = refusal(tmp_path, to=server)
    assert error.temporary is temporary
    assert str(error) == reply


def test_a_server_that_refuses_to_talk_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=_refuse_one, args=(listener,))
        greeter.start()
        error = refusal(tmp_path, MAIL_SERVER="127.0.0.1", MAIL_PORT=str(listener.getsockname()[1]))
        greeter.join()
    assert error.temporary
    assert str(error) == "554 5.3.2 not now"


def _refuse_one(listener: socket.socket) -> None:
    connection, _address = listener.accept()
    with connection:
        connection.sendall(b"554 5.3.2 not now\r\n")


def test_a_server_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    error = refusal(tmp_path, MAIL_SERVER="127.0.0.1", MAIL_PORT=port)
    assert error.temporary
    assert "ConnectionRefusedError" in str(error)


def test_a_server_that_never_greets_is_left_within_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = refusal(tmp_path, MAIL_SERVER="127.0.0.1", MAIL_PORT=str(listener.getsockname()[1]))
    assert error.temporary
    assert time.monotonic() - started < 10


def test_a_server_that_hangs_after_the_text_is_left_within_the_time_limit(
    tmp_path: Path, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(server, "hangs_after_data", True)
    started = time.monotonic()
    assert refusal(tmp_path, to=server).temporary
    assert time.monotonic() - started < 10


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate for localhost with its key, and the authority that signed it, in one file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pair = authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem
    path.write_bytes(pair.bytes() + authority.cert_pem.bytes())
    return str(path)


@pytest.fixture(scope="module")
def guarded(certificate: str) -> Iterator[MailServer]:
    """A server that takes mail only after a sign-in, and a sign-in only encrypted."""
    server = MailServer(password="hunter two", certificate=certificate)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def guard(guarded: MailServer, certificate: str, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    """The guarded server, its certificate known."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    guarded.clear()
    return guarded


def test_a_server_that_asks_for_a_sign_in_gets_it_encrypted(tmp_path: Path, guard: MailServer) -> None:
    send(tmp_path, to=guard, MAIL_USE_TLS="true", MAIL_USERNAME="taskapi", MAIL_PASSWORD="hunter two")
    assert len(guard.messages) == 1
    assert guard.session_was_encrypted


@pytest.mark.parametrize("credentials", [{}, {"MAIL_USERNAME": "taskapi", "MAIL_PASSWORD": "hunter three"}])
def test_a_refused_sign_in_waits_for_the_operator(
    tmp_path: Path, guard: MailServer, credentials: dict[str, str]
) -> None:
    error = refusal(tmp_path, EMAIL, to=guard, MAIL_USE_TLS="true", **credentials)
    assert error.temporary
    assert "hunter" not in str(error)
    assert guard.messages == []


def test_a_server_with_an_unknown_certificate_gets_nothing(tmp_path: Path, guarded: MailServer) -> None:
    guarded.clear()
    error = refusal(tmp_path, to=guarded, MAIL_USE_TLS="true")
    assert error.temporary
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert guarded.tried == 0


def test_encryption_that_the_server_lacks_is_not_done_without(tmp_path: Path, server: MailServer) -> None:
    assert refusal(tmp_path, to=server, MAIL_USE_TLS="true").temporary
    assert server.tried == 0


@pytest.fixture
def sendgrid(guard: MailServer, monkeypatch: pytest.MonkeyPatch) -> MailServer:
    """A server in SendGrid's place; its password is the API key."""
    monkeypatch.setattr(mail, "SENDGRID", replace(mail.SENDGRID, server="127.0.0.1", port=guard.port))
    return guard


def test_sendgrid_goes_before_the_mail_server(
    tmp_path: Path, sendgrid: MailServer, server: MailServer
) -> None:
    send(tmp_path, to=server, SENDGRID_API_KEY="hunter two")
    assert (len(sendgrid.messages), len(server.messages)) == (1, 0)


def test_the_mail_server_takes_what_sendgrid_refuses(
    tmp_path: Path, sendgrid: MailServer, server: MailServer
) -> None:
    with capture_logs() as lines:
        send(tmp_path, to=server, SENDGRID_API_KEY="a revoked key")
    assert (len(sendgrid.messages), len(server.messages)) == (0, 1)
    assert [line["event"] for line in lines] == ["mail.fallback"]


def test_when_both_refuse_the_last_refusal_counts(
    tmp_path: Path, sendgrid: MailServer, server: MailServer
) -> None:
    server.refusals["RCPT"] = "550 5.1.1 no such user"
    error = refusal(tmp_path, to=server, SENDGRID_API_KEY="a revoked key")
    assert str(error) == "550 5.1.1 no such user"
    assert not error.temporary


def test_without_a_mail_server_messages_become_files(tmp_path: Path) -> None:
    send(tmp_path)
    (path,) = (tmp_path / "mail").iterdir()
    # A mail may have a link that sets a password.
    assert path.parent.stat().st_mode & 0o077 == 0
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert path.name == f"{EMAIL.message_id}@localhost.eml"
    assert message["Subject"] == EMAIL.subject


def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    error = refusal(tmp_path)
    assert error.temporary
    assert str(tmp_path / "mail") in str(error)
