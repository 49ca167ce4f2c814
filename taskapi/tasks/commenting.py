"""Rules of comments: who sees a task comments on it; only the author edits what they wrote."""

from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import Precondition
from taskapi.tasks import comment_queries, search, service
from taskapi.tasks.errors import CommentForbidden, CommentNotFound
from taskapi.tasks.markdown import Rendered
from taskapi.tasks.models import Comment, Task
from taskapi.tasks.shown import ShownComment, with_authors


def list_comments(*, actor: Actor, task_id: UUID, page: PageRequest) -> Page[ShownComment]:
    """The comments of a task that the actor sees, oldest first unless asked otherwise.

    Raises:
        TaskNotFound
    """
    service.find_task(actor=actor, task_id=task_id)
    found = comment_queries.page_of_comments(task_id, page)
    return found.with_items(with_authors(found.items))


def get_comment(*, actor: Actor, task_id: UUID, comment_id: UUID) -> ShownComment:
    """
    Raises:
        TaskNotFound, CommentNotFound
    """
    return _shown(_find(actor, task_id, comment_id)[1])


def create_comment(*, actor: Actor, task_id: UUID, content: Rendered) -> ShownComment:
    """Comment on a task that the actor sees.

    Raises:
        TaskNotFound
        TokenRevoked: the account was closed this moment.
    """
    task = service.find_task(actor=actor, task_id=task_id)
    accounts.check_still_active(user_id=actor.user_id)
    comment = Comment(
        id=new_id(),
        task_id=task.id,
        author_id=actor.user_id,
        content=content.source,
        content_html=content.html,
        created_at=clock.now(),
    )
    session().add(comment)
    session().flush()
    search.index_also(task, comment.content)
    _record("comment.created", comment, actor, mentions=content.mentions)
    return _shown(comment)


def update_comment(
    *, actor: Actor, task_id: UUID, comment_id: UUID, condition: Precondition, content: Rendered | None = None
) -> ShownComment:
    """Change what a comment says; without a content, or with the same, nothing changes.

    Raises:
        TaskNotFound, CommentNotFound, PreconditionFailed
        CommentForbidden: somebody else wrote it.
    """
    task, comment = _find(actor, task_id, comment_id, lock=True)
    if comment.author_id != actor.user_id:
        raise CommentForbidden("Only its author edits a comment.")
    condition.check(comment.version)
    if content is None or content.source == comment.content:
        return _shown(comment)
    before = comment.content
    comment.content, comment.content_html = content.source, content.html
    comment.edited_at = clock.now()
    comment.version += 1
    session().flush()
    search.index_again(task)
    _record("comment.updated", comment, actor, before=before, mentions=content.mentions)
    return _shown(comment)


def delete_comment(*, actor: Actor, task_id: UUID, comment_id: UUID, condition: Precondition) -> None:
    """Delete a comment for good; what it said stays in the history of its task.

    Raises:
        TaskNotFound, CommentNotFound, PreconditionFailed
        CommentForbidden: somebody else wrote it, and the actor is no administrator.
    """
    task, comment = _find(actor, task_id, comment_id, lock=True)
    if comment.author_id != actor.user_id and not actor.is_admin:
        raise CommentForbidden("Only its author or an administrator deletes a comment.")
    condition.check(comment.version)
    session().delete(comment)
    session().flush()
    search.index_again(task)
    _record("comment.deleted", comment, actor, before=comment.content)


def _find(actor: Actor, task_id: UUID, comment_id: UUID, *, lock: bool = False) -> tuple[Task, Comment]:
    task = service.find_task(actor=actor, task_id=task_id)
    comment = comment_queries.find_comment(task_id, comment_id, lock=lock)
    if comment is None:
        raise CommentNotFound
    return task, comment


def _record(
    event: str,
    comment: Comment,
    actor: Actor,
    *,
    before: str | None = None,
    mentions: tuple[str, ...] | None = None,
) -> None:
    """Write what happened into the task's history; it is the author's, whose words it quotes."""
    after = None
    if mentions is not None:
        people = set(accounts.find_active(names=mentions).values())
        after = {"content": comment.content, "mentions": sorted(str(person) for person in people)}
    record_event(
        event,
        subject=("comment", comment.id),
        actor=actor,
        owner_id=comment.author_id,
        topic_id=comment.task_id,
        before=None if before is None else {"content": before},
        after=after,
    )


def _shown(comment: Comment) -> ShownComment:
    return with_authors([comment])[0]
