"""What can go wrong with tasks and what belongs to them."""

from taskapi.core.errors import Conflict, Forbidden, NotFound


class TaskNotFound(NotFound):
    """There is no such task, or the caller may not see it."""

    code = "task_not_found"
    title = "Task not found"


class TaskForbidden(Forbidden):
    """The caller may see the task, but not do this with it."""

    code = "task_forbidden"
    title = "Not allowed with this task"


class ExternalIdTaken(Conflict):
    """Another task of the same creator has this outside id."""

    code = "external_id_taken"
    title = "Outside id taken"


class TaskNotDeleted(Conflict):
    """The task is not deleted, so there is nothing to restore."""

    code = "task_not_deleted"
    title = "Task not deleted"


class TagNotFound(NotFound):
    """There is no such tag."""

    code = "tag_not_found"
    title = "Tag not found"


class TagTaken(Conflict):
    """There is a tag of this name already."""

    code = "tag_taken"
    title = "Tag taken"


class TagForbidden(Forbidden):
    """Only who made a tag, or an administrator, changes it."""

    code = "tag_forbidden"
    title = "Not your tag"


class CommentNotFound(NotFound):
    """The task has no such comment."""

    code = "comment_not_found"
    title = "Comment not found"


class CommentForbidden(Forbidden):
    """Only its author edits a comment; its author or an administrator deletes it."""

    code = "comment_forbidden"
    title = "Not your comment"
