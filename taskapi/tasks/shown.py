"""Tasks as they are shown: with their tags, comments and files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskapi.accounts import service as accounts
from taskapi.core.json import dump_json
from taskapi.core.reading import Written
from taskapi.files import service as files
from taskapi.tasks import queries
from taskapi.tasks.models import Comment, Tag, Task
from taskapi.tasks.schemas import TaskDetailSchema

if TYPE_CHECKING:
    from taskapi.accounts.models import User
    from taskapi.files.models import StoredFile

# A task shows its newest comments; the list of its comments has them all.
COMMENTS_SHOWN = 100
IN_FULL = TaskDetailSchema()


@dataclass(slots=True, kw_only=True)
class ShownComment:
    """A comment with its author, who may be gone."""

    comment: Comment
    author: "User | None"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.comment, name)


@dataclass(slots=True, kw_only=True)
class ShownTask:
    """A task, and what a client wants to know besides."""

    task: Task
    tags: Sequence[Tag]
    comment_count: int
    file_count: int
    comments: Sequence[ShownComment] = field(default=())
    files: "Sequence[StoredFile]" = field(default=())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


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


def as_new(task: Task, tags: Sequence[Tag]) -> ShownTask:
    """A task that was made this moment: nothing is looked for."""
    return ShownTask(task=task, tags=tags, comment_count=0, file_count=0)


def new_in_full(task: Task, tags: Sequence[Tag]) -> Written:
    """The same as JSON, as ``written.task_in_full`` would read it."""
    text = dump_json(IN_FULL.dump(as_new(task, tags))).decode()
    return Written(id=task.id, text=text, version=task.version, state=0)


def with_authors(comments: Sequence[Comment]) -> list[ShownComment]:
    """Comments with their authors."""
    authors = accounts.find_users(user_ids={comment.author_id for comment in comments if comment.author_id})
    return [
        ShownComment(comment=comment, author=authors.get(comment.author_id) if comment.author_id else None)
        for comment in comments
    ]
