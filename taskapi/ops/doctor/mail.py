"""Mail: a test message leaves, or it is said where messages are written."""

from email.utils import parseaddr

from taskapi.clients.mail import OutgoingEmail, mail_client
from taskapi.clients.smtp import MailError
from taskapi.core.ids import new_id
from taskapi.core.runtime import runtime_settings
from taskapi.ops.doctor.findings import Finding, fail, ok, warn

TEXT = "This message was sent by 'flask admin doctor'. Mail works."
ADVICE = {
    "certificate": "use the name that stands in the server's certificate, or have it renewed",
    "sign-in": "correct MAIL_USERNAME and MAIL_PASSWORD",
    "STARTTLS": "set MAIL_USE_TLS to what the server offers",
    "gaierror": "correct MAIL_SERVER: its name is not known",
    "refused": "correct MAIL_SERVER and MAIL_PORT, or start the server",
    "timed out": "see whether a firewall blocks MAIL_PORT; many providers block 25",
}


def look_at_mail(recipient: str | None) -> Finding:
    """Send a message to the recipient, else to the sender's own address."""
    settings = runtime_settings()
    to = recipient or parseaddr(settings.mail.default_sender)[1]
    try:
        mail_client().send(_message(to, settings.app_name))
    except MailError as error:
        advice = next(
            (words for part, words in ADVICE.items() if part in str(error)), "see what the server says"
        )
        return fail(f"the message to {to} was not taken: {error}", advice)
    if settings.mail.server or settings.mail.sendgrid_api_key:
        return ok(f"sent a message to {to}: see that it arrived")
    detail = f"there is no mail server: messages are written to {settings.data_dir / 'mail'}"
    if settings.environment == "production":
        return warn(detail, "set MAIL_SERVER or SENDGRID_API_KEY, or nobody gets any mail")
    return ok(detail)


def _message(recipient: str, name: str) -> OutgoingEmail:
    return OutgoingEmail(
        message_id=str(new_id()),
        recipient=recipient,
        subject=f"{name}: a test",
        text=TEXT,
        html=f"<p>{TEXT}</p>",
    )
