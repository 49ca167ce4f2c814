"""Who is told what of a task: asked after the commit, of the task and the people as they are then.

Who may not see the task any more is told nothing, and of a deleted task nobody is.
"""

from collections.abc import Iterable
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.core.runtime import runtime_settings
from taskapi.notifications.task_news import tell_of_task
from taskapi.tasks.comment_queries import authors_of
from taskapi.tasks.drafts import people_of
from taskapi.tasks.models import Comment, Task

QUOTED = 1_000


def on_assigned(event: Event) -> None:
    """Tell who got a task from somebody else."""
    assignee = (event.after or {}).get("assignee_id")
    task = _living(event.topic_id) if assignee else None
    if task is None or str(task.assignee_id) != assignee or task.assignee_id == event.actor_id:
        return
    if not {"import_id", "handed_over"}.isdisjoint(event.after or {}):
        # Who gets a hundred rows of a file wants no hundred messages; nor who gets all that somebody had.
        return
    for person in _who_see(task, [task.assignee_id] if task.assignee_id else []):
        tell_of_task(
            user_id=person,
            kind="task_assigned",
            key=f"event:{event.id}:{person}",
            task=(task.id, task.title, task.due_date),
            headline="Assigned to you",
            facts=f"{_name_of(event.actor_id)} gave you this task.",
            reason="The task is yours to do.",
            by=event.actor_id,
            by_mail=not (event.after or {}).get("in_bulk"),
        )


def on_overdue(event: Event) -> None:
    """Tell whose task it is that it is late, if it still is and is to be told."""
    task = _living(event.topic_id)
    if task is None or not (event.after or {}).get("notify") or task.status != "overdue":
        return
    for person in _who_see(task, people_of(task)):
        tell_of_task(
            user_id=person,
            kind="task_overdue",
            key=f"event:{event.id}:{person}",
            task=(task.id, task.title, task.due_date),
            headline="Overdue",
            facts="The due date of this task has passed, and it is still open.",
            reason="The task is yours to do." if person == task.assignee_id else "You made this task.",
        )


def on_comment(event: Event) -> None:
    """Tell who is mentioned; of a new comment also whose task it is, and who commented before."""
    comment, task = session().get(Comment, event.subject_id), _living(event.topic_id)
    if comment is None or task is None:
        return
    mentioned = {UUID(person) for person in (event.after or {}).get("mentions", ())}
    involved = people_of(task) | set(authors_of(task.id)) if event.type == "comment.created" else set()
    author = _name_of(comment.author_id)
    for person in _who_see(task, (mentioned | involved) - {comment.author_id}):
        is_mentioned = person in mentioned
        # One key for both kinds, and for edits: a comment is told of once.
        tell_of_task(
            user_id=person,
            kind="mentioned" if is_mentioned else "comment_added",
            key=f"comment:{comment.id}:{person}",
            task=(task.id, task.title, task.due_date),
            headline=f"{author} mentioned you" if is_mentioned else f"{author} commented",
            facts=f"{author} mentioned you in a comment." if is_mentioned else f"{author} commented.",
            quote=_excerpt(comment.content),
            by=comment.author_id,
            reason="Somebody mentioned you." if is_mentioned else "It is your task, or you commented on it.",
        )


# By the type of the event that asks for it.
NEWS = {
    "task.created": on_assigned,
    "task.updated": on_assigned,
    "task.overdue": on_overdue,
    "comment.created": on_comment,
    "comment.updated": on_comment,
}


def _living(task_id: UUID | None) -> Task | None:
    task = session().get(Task, task_id)
    return task if task is not None and task.deleted_at is None else None


def _who_see(task: Task, user_ids: Iterable[UUID]) -> list[UUID]:
    """Those of the users who may see the task now."""
    all_see, people = runtime_settings().team_sees_tasks, people_of(task)
    users = accounts.find_users(user_ids=set(user_ids)).values()
    return sorted(
        user.id for user in users if user.is_active and (all_see or user.role == "admin" or user.id in people)
    )


def _name_of(user_id: UUID | None) -> str:
    users = accounts.find_users(user_ids=[user_id]) if user_id else {}
    return next((user.full_name or user.username for user in users.values()), "Somebody")


def _excerpt(text: str) -> str:
    cut = text.strip()
    return cut if len(cut) <= QUOTED else f"{cut[:QUOTED].rstrip()} …"
