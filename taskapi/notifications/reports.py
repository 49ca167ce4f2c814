"""Telling people that a report is there: in the application, and by e-mail with the file."""

from collections.abc import Mapping
from uuid import UUID

from taskapi.notifications.attachments import MAX_ATTACHMENT_BYTES
from taskapi.notifications.recipients import find_recipient, mail
from taskapi.notifications.service import notify


def tell_of_report(
    *,
    user_id: UUID,
    title: str,
    counts: Mapping[str, int],
    file_id: UUID,
    filename: str,
    size: int,
    to: str | None,
    key: str,
) -> list[str]:
    """Tell a user of a report among their files, and them or somebody else by e-mail; the addresses mailed.

    Args:
        counts: how many tasks it tells of, by status.
        size: bytes; a large file is not sent, but told where to find.
        key: makes it happen once, however often it is asked for.

    Raises:
        MailLimitReached: nobody is told.
    """
    recipient = find_recipient(user_id=user_id, kind="report", to=to, key=key)
    notify(key=f"{key}:report", user_id=user_id, kind="report", title=f"Report: {title}", message=filename)
    is_attached = size <= MAX_ATTACHMENT_BYTES
    context = {
        "title": title,
        "summary": _summary(counts),
        "filename": filename,
        "file_id": str(file_id),
        "is_attached": is_attached,
        "is_for_owner": to is None,
    }
    file_to_send = file_id if is_attached else None
    return mail(recipient, subject=f"Report: {title}", context=context, file_id=file_to_send)


def _summary(counts: Mapping[str, int]) -> str:
    """Such as ``1,200 tasks: 1,000 done, 200 in progress.``, the most first."""
    total = sum(counts.values())
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {status.replace('_', ' ')}" for status, count in most_first]
    return f"{total:,} {'task' if total == 1 else 'tasks'}: {', '.join(parts)}." if parts else "No tasks."
