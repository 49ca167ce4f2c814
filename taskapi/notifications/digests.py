"""Digests: what there is to do, in one mail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.notifications import outbox, queries

HEADINGS = {
    "overdue": "Overdue",
    "due_today": "Due today",
    "due_this_week": "Due within a week",
    "assigned": "New for you",
    "completed": "Completed",
}


def assigned_since(*, user_id: UUID, since: datetime) -> sa.Select[UUID | None]:
    """The ids of the tasks that a user was told of since then because somebody gave them to them."""
    return queries.tasks_told_of(user_id, "task_assigned", since)


def send_digest(*, user_id: UUID, key: str, sections: Sequence[dict[str, Any]]) -> str | None:
    """Mail a user the sections of a digest; to which address, or None if there is none or nothing to say.

    Args:
        key: makes it happen once, however often it is asked for.
        sections: each with name, count, the first tasks (title and due time), and how many more there are.
    """
    user, wants_mail = accounts.mail_preference(user_id=user_id, kind="digest")
    if user is None or not wants_mail or not sections:
        return None
    outbox.queue_email(
        key=key,
        kind="digest",
        recipient=user.email,
        user_id=user.id,
        subject=_subject(sections),
        context={
            "name": "What there is to do",
            "sections": [{**section, "heading": HEADINGS[section["name"]]} for section in sections],
            "timezone": user.timezone,
            "reason": "You asked for this digest.",
        },
    )
    return user.email


def _subject(sections: Sequence[dict[str, Any]]) -> str:
    """What is to be done first, such as 'Your tasks: 2 overdue, 1 due today'."""
    counts = (f"{section['count']} {HEADINGS[section['name']].lower()}" for section in sections)
    return f"Your tasks: {', '.join(counts)}"
