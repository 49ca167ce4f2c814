"""Whose lists and figures an event makes old; it is asked in the event's transaction."""

from uuid import UUID

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.freshness import touch, touch_everybody
from taskapi.tasks.drafts import people_of
from taskapi.tasks.models import Task

# Of tasks themselves, and of what hangs on them.
PATTERNS = ("task.*", "comment.*", "file.*", "tag.*")


def freshen(event: Event) -> None:
    """Raise the versions of what the people of the task see."""
    if event.subject_type == "tag":
        if event.type != "tag.created":
            touch_everybody()
    elif event.topic_id is not None:
        touch(_people(event))


def _people(event: Event) -> set[UUID]:
    """Whose task it is, and whose it was before the event."""
    assignees = {(state or {}).get("assignee_id") for state in (event.before, event.after)}
    people = {UUID(person) for person in assignees if person}
    task = session().get(Task, event.topic_id)
    return people | people_of(task) if task else people
