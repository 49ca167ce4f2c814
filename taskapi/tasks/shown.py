"""Tasks as they are shown: with their tags, comments and files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskapi.accounts import service as accounts
from taskapi.core.digests import digest
from taskapi.files import service as files
from taskapi.tasks import queries
from taskapi.tasks.models import Comment, Tag, Task

if TYPE_CHECKING:
    from taskapi.accounts.models import User
    from taskapi.files.models import StoredFile

# A task shows its newest comments; the list of its comments has them all.
COMMENTS_SHOWN = 100


@dataclass(slots=True, kw_only=True)
class ShownComment:
    """A comment with its author, who may be gone."""

    comment: Comment
    author: "User | None"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comment, name)


@dataclass(slots=True, kw_only=True)
class ShownTask:
    """A task, and what a client wants to know besides.

    Attributes:
        content_version: differs as soon as anything that is shown does.
    """

    task: Task
    tags: Sequence[Tag]
    comment_count: int
    file_count: int
    comments: Sequence[ShownComment] = field(default=())
    files: "Sequence[StoredFile]" = field(default=())
    content_version: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    @property
    def entity_tag(self) -> str:
        """The version, which edits are compared with, and what else is shown."""
        return f"v{self.task.version}.{self.content_version}"


def in_lists(tasks: Sequence[Task]) -> list[ShownTask]:
    """Tasks as lists show them, with three queries for all."""
    ids = [task.id for task in tasks]
    if not ids:
        return []
    tags, comments = queries.tags_of(ids), queries.comment_counts(ids)
    attached = files.count_by_task(task_ids=ids)
    return [
        ShownTask(
            task=task,
            tags=tags[task.id],
            comment_count=comments.get(task.id, 0),
            file_count=attached.get(task.id, 0),
        )
        for task in tasks
    ]


def in_full(task: Task) -> ShownTask:
    """A task with its newest comments and its files."""
    tags = queries.tags_of([task.id])[task.id]
    state = queries.comments_state(task.id)
    attached = files.files_of_task(task_id=task.id)
    content = (
        [(tag.id, tag.version) for tag in tags],
        [(file.id, file.damage) for file in attached],
        (*state, task.weather, task.deleted_at),
    )
    return ShownTask(
        task=task,
        tags=tags,
        comment_count=state[0],
        file_count=len(attached),
        comments=with_authors(queries.newest_comments(task.id, COMMENTS_SHOWN)) if state[0] else (),
        files=attached,
        content_version=digest(*content),
    )


def with_authors(comments: Sequence[Comment]) -> list[ShownComment]:
    """Comments with their authors."""
    authors = accounts.find_users(user_ids={comment.author_id for comment in comments if comment.author_id})
    return [
        ShownComment(comment=comment, author=authors.get(comment.author_id) if comment.author_id else None)
        for comment in comments
    ]
