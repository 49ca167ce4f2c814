"""Sending e-mail: by SMTP, by SendGrid's SMTP relay, or into files when neither is set.

Errors say whether it may work later: the outbox tries again after a temporary one and
gives up after a permanent one.
"""

import os
import unicodedata
from dataclasses import dataclass, replace
from email.charset import QP, Charset
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Protocol, cast

import structlog
from flask import Flask, current_app
from flask_mail import Mail, Message, sanitize_address

from taskapi.clients.smtp import MailError, SmtpTransport
from taskapi.config import MailSettings, Settings

log = structlog.get_logger(__name__)

SENDGRID = MailSettings(server="smtp.sendgrid.net", port=587, username="apikey", use_tls=True)
# What may start a new line somewhere on the way: controls, line and paragraph separators.
LINE_BREAKERS = frozenset({"Cc", "Zl", "Zp"})
QUOTED_PRINTABLE = Charset("utf-8")
QUOTED_PRINTABLE.body_encoding = QP


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

    def send(self, message: Message, *, keep_open: bool) -> None:
        """Raises ``MailError``."""

    def hang_up(self) -> None:
        """Close what was kept open."""


class MailClient:
    """Sends through the first transport that takes the message."""

    def __init__(self, transports: list[Transport], *, sender: str) -> None:
        self._transports = transports
        self._sender = sender

    def send(self, email: OutgoingEmail, *, keep_open: bool = False) -> None:
        """Hand the message over.

        Args:
            keep_open: another message may follow soon, in this thread: until ``hang_up`` a connection stays.

        Raises:
            MailError: the last transport's refusal.
        """
        _check_headers(email, self._sender)
        message = self._compose(email)
        *first, last = self._transports
        for transport in first:
            try:
                transport.send(message, keep_open=keep_open)
            except MailError as error:
                log.warning("mail.fallback", error=str(error))
            else:
                return
        last.send(message, keep_open=keep_open)

    def hang_up(self) -> None:
        """Close the connections that this thread has kept open."""
        for transport in self._transports:
            transport.hang_up()

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


class FileTransport:
    """Writes each message to a file, for trying things out without a mail server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: Message, *, keep_open: bool) -> None:
        name = message.msgId.strip("<>").replace("/", "_")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._folder / f".{name}.{os.getpid()}"
            draft.write_bytes(message.as_bytes())
            draft.rename(self._folder / f"{name}.eml")
        except OSError as error:
            raise MailError(f"{self._folder} cannot be written: {error}", temporary=True) from error

    def hang_up(self) -> None:
        """A file is closed already."""


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
