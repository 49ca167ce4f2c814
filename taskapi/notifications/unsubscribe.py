"""The link that stops e-mail of one kind, with one click and without signing in (RFC 8058)."""

from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

from taskapi.core.errors import NotFound
from taskapi.core.runtime import runtime_settings
from taskapi.core.signing import serializer

SALT = "taskapi.unsubscribe"

ABOUT = {
    "schedule_created": "new schedules",
    "schedule_paused": "schedules that pause by themselves",
    "run_completed": "completed runs",
    "run_failed": "failed runs",
    "run_recovered": "runs that work again",
    "run_missed": "missed runs",
    "run_overdue": "overdue runs",
    "ping_unexpected": "calls that nobody expected",
    "reminder": "reminders",
    "report": "reports",
    "file_damaged": "damaged files",
    "webhook_disabled": "webhooks that are switched off",
    "task_assigned": "tasks given to you",
    "task_overdue": "overdue tasks",
    "comment_added": "comments",
    "mentioned": "comments that mention you",
    "digest": "what there is to do",
}


class UnknownUnsubscribeLink(NotFound):
    """The link to unsubscribe was altered or belongs to another installation."""

    code = "unknown_unsubscribe_link"
    title = "Unknown link"


def which_emails(*, user_id: UUID | None, kind: str) -> str:
    """What the link stops, in words: a user's e-mails of one kind, or all to a stranger."""
    if user_id is None:
        return f"all e-mails from {runtime_settings().app_name} to this address"
    return f"e-mails about {ABOUT[kind]}" if kind in ABOUT else "e-mails of this kind"


def unsubscribe_url(*, user_id: UUID | None, address: str, kind: str) -> str:
    """The address that a mail program posts to; it does not expire, as the mail does not."""
    whose = {"u": str(user_id)} if user_id else {"a": address}
    token = _serializer().dumps({**whose, "k": kind})
    return f"{runtime_settings().public_url}/api/notifications/unsubscribe/{token!s}"


def read_unsubscribe_token(token: str) -> tuple[UUID | None, str | None, str]:
    """User id or address, and the kind of e-mail.

    Raises:
        UnknownUnsubscribeLink
    """
    try:
        content = _serializer().loads(token)
    except BadSignature as error:
        raise UnknownUnsubscribeLink from error
    user_id = UUID(content["u"]) if "u" in content else None
    return user_id, content.get("a"), content["k"]


def _serializer() -> URLSafeSerializer:
    return serializer(SALT)
