"""A real SMTP server for tests: it keeps the messages it takes and refuses what it is told to."""

import asyncio
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class MailServer(Controller):
    """Listens on a free port of loopback, or on the one that is given, between ``start`` and ``stop``.

    Attributes:
        messages: what was delivered, oldest first.
        refusals: replies by command (MAIL, RCPT, DATA) to give instead of taking a message.
        tried: how many messages were offered, taken or not.
        greeted: how many sessions there were; ``left`` says how many of them ended with a goodbye.
        session_was_encrypted: whether the last message came over TLS.
    """

    def __init__(self, *, port: int = 0, password: str | None = None, certificate: str | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.refusals: dict[str, str] = {}
        self.tried = self.greeted = self.left = 0
        self.hangs_after_data = False
        self.session_was_encrypted = False
        self._password = password
        super().__init__(
            self,
            hostname="127.0.0.1",
            port=port,
            server_hostname="mail.example.org",
            authenticator=self._check_sign_in,
            auth_required=password is not None,
            tls_context=_tls(certificate) if certificate else None,
        )

    def _trigger_server(self) -> None:
        # The system chose the port.
        server = cast(asyncio.Server, self.server)
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    def clear(self) -> None:
        """Forget everything, for the next test."""
        self.messages.clear()
        self.raw.clear()
        self.refusals.clear()
        self.tried = self.greeted = self.left = 0

    def _check_sign_in(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        wanted = (self._password or "").encode()
        return AuthResult(success=data.password == wanted, handled=False)

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greeted += 1
        session.host_name = hostname
        return responses

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        self.left += 1
        return "221 Bye"

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.tried += 1
        envelope.mail_from = address
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.refusals.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.session_was_encrypted = session.ssl is not None
        if self.hangs_after_data:
            await asyncio.sleep(60)
        if "DATA" in self.refusals:
            return self.refusals["DATA"]
        content = cast(bytes, envelope.content)
        self.raw.append(content)
        self.messages.append(message_from_bytes(content, policy=default))
        return "250 Taken"


def _tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def body(message: EmailMessage, subtype: str) -> str:
    """The plain or the HTML text of a message."""
    part: Any = message.get_body((subtype,))
    text: str = part.get_content()
    return text.replace("\r\n", "\n")
