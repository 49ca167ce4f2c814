"""Telling people what happened to a task: in the application, and by e-mail as they prefer."""

from datetime import datetime
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.notifications import outbox
from taskapi.notifications.service import notify


def tell_of_task(
    *,
    user_id: UUID,
    kind: str,
    key: str,
    task: tuple[UUID, str, datetime | None],
    headline: str,
    facts: str,
    quote: str = "",
    reason: str,
    by: UUID | None = None,
    by_mail: bool = True,
) -> None:
    """Tell a user something about a task, once per key.

    Args:
        task: its id, its title, and when it is due.
        headline: what happened, before the title.
        facts: what happened, in a sentence.
        quote: what somebody wrote.
        reason: why it is them who are told.
        by: whose doing it is.
        by_mail: whether they are also mailed, if they have not switched such mails off.
    """
    task_id, title, due_date = task
    subject = f"{headline}: {title}"
    notify(key=key, user_id=user_id, kind=kind, title=subject, message=quote or facts, task_id=task_id)
    user, wants_mail = accounts.mail_preference(user_id=user_id, kind=kind)
    if user is None or not (wants_mail and by_mail):
        return
    outbox.queue_email(
        key=key,
        kind=kind,
        recipient=user.email,
        user_id=user.id,
        sender_id=by,
        subject=subject,
        context={
            "name": title,
            "facts": facts,
            "quote": quote,
            "due": due_date.isoformat() if due_date else None,
            "timezone": user.timezone,
            "subject_id": task_id,
            "reason": reason,
        },
    )
