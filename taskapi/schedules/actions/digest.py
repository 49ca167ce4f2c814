"""``digest``: mails the schedule's owner what is due, what is late, what is new and what is done."""

from datetime import timedelta
from typing import Any

from taskapi.core import clock
from taskapi.core.db import transaction
from taskapi.core.json import format_time
from taskapi.core.schemas import Schema
from taskapi.notifications import digests
from taskapi.schedules.actions.base import Action, RunContext
from taskapi.schedules.actions.owners import owner_of
from taskapi.schedules.run_queries import last_completed_at
from taskapi.tasks.models import Task
from taskapi.tasks.summary import Section, summarize

# The first digest of a schedule looks back so far, and no other looks back further.
LOOKS_BACK = timedelta(days=31)
FIRST_LOOKS_BACK = timedelta(days=7)


class DigestParams(Schema):
    """There is nothing to say: the owner's tasks and time zone are what count."""


def send_digest(context: RunContext, _params: dict[str, Any]) -> dict[str, Any]:
    """Mail the digest once per run; without anything to say there is no mail."""
    with transaction():
        owner, now = owner_of(context), clock.now()
        last = last_completed_at(context.schedule_id, before=context.run_id)
        since = max(last, now - LOOKS_BACK) if last else now - FIRST_LOOKS_BACK
        sections = summarize(
            user_id=owner.user_id,
            now=now,
            timezone=owner.timezone,
            since=since,
            assigned=digests.assigned_since(user_id=owner.user_id, since=since),
        )
        sent_to = digests.send_digest(
            user_id=owner.user_id,
            key=f"run:{context.run_id}:digest",
            sections=[_shown(section) for section in sections],
        )
    context.log(f"Digest handed to {sent_to or 'nobody'}.")
    counts = {section.name: section.count for section in sections}
    return {"sent": sent_to is not None, **counts}


def _shown(section: Section) -> dict[str, Any]:
    tasks = [_named(task) for task in section.tasks]
    return {
        "name": section.name,
        "count": section.count,
        "tasks": tasks,
        "more": section.count - len(tasks),
    }


def _named(task: Task) -> dict[str, Any]:
    return {"title": task.title, "due": format_time(task.due_date) if task.due_date else None}


DIGEST = Action("digest", "Mails what is due, late, new and done", DigestParams, send_digest)
