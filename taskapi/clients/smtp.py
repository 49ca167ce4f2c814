"""Delivering to a mail server, over a connection that may serve for one message after the other."""

import smtplib
import ssl
import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import cast

from flask_mail import Connection as FlaskMailConnection
from flask_mail import Mail, Message

from taskapi.config import MailSettings

TIMEOUT_SECONDS, HURRY_SECONDS = 15.0, 2.0
# Servers end a session that brings very many.
MESSAGES_EACH = 50
OK = 250
# 4xx replies are temporary by RFC 5321, 4.2.1. So are, for us, the 5xx replies about signing in
# (RFC 4954, 6): the operator mends the settings, and no message is lost meanwhile.
PERMANENT_REPLIES = frozenset(range(500, 600)) - {530, 534, 535, 538}


class MailError(Exception):
    """The message was not taken; ``temporary`` says whether trying again makes sense."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


class SmtpTransport:
    """Delivers to one mail server; each thread has a connection of its own."""

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
        self._kept = threading.local()

    def send(self, message: Message, *, keep_open: bool = False) -> None:
        """Hand a message over.

        Args:
            keep_open: the next message of this thread goes over the same connection, until ``hang_up``.

        Raises:
            MailError: it was not taken.
        """
        try:
            self._hand_over(message, keep_open=keep_open)
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

    def hang_up(self) -> None:
        """Close the connection that this thread has kept, if there is one."""
        if connection := self._take():
            connection.hurry()
            connection.__exit__(None, None, None)

    def _hand_over(self, message: Message, *, keep_open: bool) -> None:
        if kept := self._usable():
            # The session may have brought too many: that says nothing of this message.
            with suppress(smtplib.SMTPSenderRefused):
                return self._send_over(kept, message, keep_open=keep_open)
        connection = _Connection(cast(Mail, self._relay)).__enter__()
        return self._send_over(connection, message, keep_open=keep_open)

    def _send_over(self, connection: "_Connection", message: Message, *, keep_open: bool) -> None:
        with ExitStack() as at_the_end:
            at_the_end.push(connection)
            connection.send(message)
            # One on which anything went wrong serves for nothing else.
            if keep_open and connection.num_emails < MESSAGES_EACH:
                at_the_end.pop_all()
                self._kept.connection = connection

    def _usable(self) -> "_Connection | None":
        """The connection that was kept, if the server is still there."""
        connection = self._take()
        if connection is None or connection.is_open():
            return connection
        connection.hurry()
        connection.__exit__(None, None, None)
        return None

    def _take(self) -> "_Connection | None":
        connection: _Connection | None = getattr(self._kept, "connection", None)
        self._kept.connection = None
        return connection


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

    def is_open(self) -> bool:
        """Whether the server still answers: it may have hung up meanwhile."""
        self.hurry()
        try:
            is_open = self.host is not None and self.host.noop()[0] == OK
        except (smtplib.SMTPException, OSError):
            return False
        self._wait_for(TIMEOUT_SECONDS)
        return is_open

    def hurry(self) -> None:
        """Wait for hardly anything from now on: nothing that counts is left to say."""
        self._wait_for(HURRY_SECONDS)

    def _wait_for(self, seconds: float) -> None:
        if self.host is not None and self.host.sock is not None:
            self.host.sock.settimeout(seconds)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The message was taken or refused by now; how the server says goodbye changes nothing.
        if self.host is not None:
            with suppress(smtplib.SMTPException, OSError):
                self.host.quit()


def _words(code: int, reason: bytes | str) -> str:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return f"{code} {text}"[:500]
