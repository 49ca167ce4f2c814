"""Sending e-mail: by SMTP, by SendGrid's SMTP relay, or into files when neither is set.

Errors say whether it may work later: the outbox tries again after a temporary one and
gives up after a permanent one.
"""

import os
import smtplib
import ssl
import unicodedata
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from email.charset import QP, Charset
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast

import structlog
from flask import Flask, current_app
from flask_mail import Connection as FlaskMailConnection
from flask_mail import Mail, Message, sanitize_address

from taskapi.config import MailSettings, Settings

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 15
SENDGRID = MailSettings(server="smtp.sendgrid.net", port=587, username="apikey", use_tls=True)
# 4xx replies are temporary by RFC 5321, 4.2.1. So are, for us, the 5xx replies about signing in
# (RFC 4954, 6): the operator mends the settings, and no message is lost meanwhile.
PERMANENT_REPLIES = frozenset(range(500, 600)) - {530, 534, 535, 538}
# What may start a new line somewhere on the way: controls, line and paragraph separators.
LINE_BREAKERS = frozenset({"Cc", "Zl", "Zp"})
QUOTED_PRINTABLE = Charset("utf-8")
QUOTED_PRINTABLE.body_encoding = QP


class MailError(Exception):
    """The message was not taken; ``temporary`` says whether trying again makes sense."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that a message brings with it."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEmail:
    """One message to one recipient.

    Attributes:
        message_id: stable over retries, so that a receiver recognises a second delivery.
        unsubscribe_url: for ``List-Unsubscribe`` with one click (RFC 8058).
    """

    message_id: str
    recipient: str
    subject: str
    text: str
    html: str
    unsubscribe_url: str | None = None
    attachment: Attachment | None = None


class Transport(Protocol):
    """A way for messages to leave."""

    def send(self, message: Message) -> None:
        """Raises ``MailError``."""


class MailClient:
    """Sends through the first transport that takes the message."""

    def __init__(self, transports: list[Transport], *, sender: str) -> None:
        self._transports = transports
        self._sender = sender

    def send(self, email: OutgoingEmail) -> None:
        """Hand the message over.

        Raises:
            MailError: the last transport's refusal.
        """
        _check_headers(email, self._sender)
        message = self._compose(email)
        *first, last = self._transports
        for transport in first:
            try:
                transport.send(message)
            except MailError as error:
                log.warning("mail.fallback", error=str(error))
            else:
                return
        last.send(message)

    def _compose(self, email: OutgoingEmail) -> Message:
        headers = {"Auto-Submitted": "auto-generated"}
        if email.unsubscribe_url:
            headers["List-Unsubscribe"] = f"<{email.unsubscribe_url}>"
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message = _Message(
            subject=email.subject,
            recipients=[email.recipient],
            body=email.text,
            html=email.html,
            sender=self._sender,
            extra_headers=headers,
        )
        if email.attachment is not None:
            file = email.attachment
            message.attach(file.filename, file.content_type, file.content)
        domain = parseaddr(sanitize_address(self._sender))[1].rpartition("@")[2] or "localhost"
        message.msgId = f"<{email.message_id}@{domain}>"
        return message


def _check_headers(email: OutgoingEmail, sender: str) -> None:
    """Refuse what would add a header or a recipient, and addresses that no header can hold."""
    for value in (sender, email.subject):
        _check_line(value)
    check_recipient(email.recipient)
    # The operator can mend the sender's address.
    _check_ascii(sender, temporary=True)


def check_recipient(address: str) -> None:
    """Refuse an address that no mail can ever be sent to; international domains are fine.

    Raises:
        MailError: a permanent one.
    """
    _check_line(address)
    if not address or parseaddr(address)[1] != address:
        raise MailError(f"{address!r} is not one e-mail address.", temporary=False)
    _check_ascii(address, temporary=False)


def _check_line(value: str) -> None:
    if any(unicodedata.category(letter) in LINE_BREAKERS for letter in value):
        raise MailError("A header contains a line break or a control character.", temporary=False)


def _check_ascii(address: str, *, temporary: bool) -> None:
    # Flask-Mail writes a domain as IDNA, but the part before it would need SMTPUTF8, which
    # few servers offer.
    try:
        sanitize_address(address)
    except UnicodeError as error:
        raise MailError(f"{address!r} cannot be written in ASCII.", temporary=temporary) from error


class _Message(Message):
    """Flask-Mail's message, with lines that every mail server and program takes.

    Header lines may be as long as RFC 5322 allows: folded at 78 characters, an address in
    ``List-Unsubscribe`` would be torn into encoded words, which no mail program follows. Texts
    are quoted-printable: as they are, a line over 998 bytes would be refused or broken.
    """

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        # The standard library takes a Charset too; its type hints know only the name of one.
        return MIMEText(text or "", subtype, cast(str, QUOTED_PRINTABLE))

    def _message(self) -> Any:
        composed = super()._message()
        composed.policy = SMTP.clone(max_line_length=998)
        return composed


class _Connection(FlaskMailConnection):
    """Flask-Mail's connection, with a time limit and checked certificates."""

    def configure_host(self) -> smtplib.SMTP:
        host = smtplib.SMTP(self.mail.server, self.mail.port, timeout=TIMEOUT_SECONDS)
        with ExitStack() as on_failure:
            on_failure.callback(host.close)
            if self.mail.use_tls:
                host.starttls(context=ssl.create_default_context())
            if self.mail.username and self.mail.password:
                host.login(self.mail.username, self.mail.password)
            on_failure.pop_all()
        return host

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The message was taken or refused by now; how the server says goodbye changes nothing.
        if self.host is not None:
            with suppress(smtplib.SMTPException, OSError):
                self.host.quit()


class SmtpTransport:
    """Delivers to one mail server."""

    def __init__(self, settings: MailSettings) -> None:
        self._relay = Mail().init_mail(
            {
                "MAIL_SERVER": settings.server,
                "MAIL_PORT": settings.port,
                "MAIL_USERNAME": settings.username,
                "MAIL_PASSWORD": settings.password,
                "MAIL_USE_TLS": settings.use_tls,
            }
        )

    def send(self, message: Message) -> None:
        try:
            with _Connection(cast(Mail, self._relay)) as connection:
                connection.send(message)
        except smtplib.SMTPAuthenticationError as error:
            raise MailError(
                f"The mail server refused the sign-in: {error.smtp_code}", temporary=True
            ) from error
        except smtplib.SMTPConnectError as error:
            # It greets nobody, or not us: that says nothing about this message.
            raise MailError(_words(error.smtp_code, error.smtp_error), temporary=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise MailError(_words(code, reason), temporary=code not in PERMANENT_REPLIES) from error
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code in PERMANENT_REPLIES
            raise MailError(_words(error.smtp_code, error.smtp_error), temporary=not permanent) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailError(f"{type(error).__name__}: {error}", temporary=True) from error


class FileTransport:
    """Writes each message to a file, for trying things out without a mail server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message) -> None:
        name = message.msgId.strip("<>").replace("/", "_")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._folder / f".{name}.{os.getpid()}"
            draft.write_bytes(message.as_bytes())
            draft.rename(self._folder / f"{name}.eml")
        except OSError as error:
            raise MailError(f"{self._folder} cannot be written: {error}", temporary=True) from error


def _words(code: int, reason: bytes | str) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return f"{code} {text}"[:500]


def init_mail(app: Flask, settings: Settings) -> None:
    """Give the application its mail client."""
    Mail(app)
    app.extensions["taskapi_mail"] = MailClient(_transports(settings), sender=settings.mail.default_sender)


def _transports(settings: Settings) -> list[Transport]:
    found: list[Transport] = []
    if settings.mail.sendgrid_api_key:
        found.append(SmtpTransport(_sendgrid(settings.mail.sendgrid_api_key)))
    if settings.mail.server:
        found.append(SmtpTransport(settings.mail))
    return found or [FileTransport(settings.data_dir / "mail")]


def _sendgrid(key: str) -> MailSettings:
    return replace(SENDGRID, password=key)


def mail_client() -> MailClient:
    """The mail client of the running application."""
    client: MailClient = current_app.extensions["taskapi_mail"]
    return client
