"""Rules of files: finding, serving and deleting them."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import db, session
from taskapi.core.events import record_event
from taskapi.core.json_sql import JsonList
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import Precondition
from taskapi.core.runtime import runtime_settings
from taskapi.files import queries, removal, usage
from taskapi.files.errors import FileDamaged, FileForbidden, StoredFileNotFound
from taskapi.files.models import StoredFile
from taskapi.files.reading import DAMAGES


def list_files(*, actor: Actor, page: PageRequest, **filters: Any) -> Page[StoredFile]:
    """The files that the actor may see; see ``queries.page_of_files`` for the filters."""
    return queries.page_of_files(actor, page, **filters)


def get_file(*, actor: Actor, file_id: UUID) -> StoredFile:
    """What is known of a file that the actor may see.

    Raises:
        StoredFileNotFound
    """
    file = queries.find_file(actor, file_id)
    if file is None:
        raise StoredFileNotFound
    return file


def files_of_task(*, task_id: UUID) -> Sequence[StoredFile]:
    """The files that are attached to a task, in the order in which they came."""
    return queries.files_of_task(task_id)


def list_of_task(*, task_id: sa.ColumnElement[UUID]) -> JsonList:
    """For statements of other rooms; see ``queries.list_of_task``."""
    return queries.list_of_task(task_id)


def number_of_task(*, task_id: sa.ColumnElement[UUID]) -> sa.ScalarSelect[int]:
    """For statements of other rooms; see ``queries.number_of_task``."""
    return queries.number_of_task(task_id)


def count_by_task(*, task_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many files are attached to each of the tasks that have any."""
    return queries.count_by_task(task_ids)


def get_file_to_read(*, actor: Actor, file_id: UUID, task_id: UUID | None = None) -> StoredFile:
    """A file whose content may be served, with the hashes of its blocks; no connection is held for it.

    Args:
        task_id: the task that it must be attached to, if it was looked for there.

    Raises:
        StoredFileNotFound
        FileDamaged: it is known to be.
    """
    file = queries.find_with_blocks(actor, file_id)
    # A client may take its time over the content, and all others need the connections.
    db.session.remove()
    if file is None or task_id not in (None, file.task_id):
        raise StoredFileNotFound
    if file.damage is not None:
        raise FileDamaged(DAMAGES[file.damage])
    return file


def delete_file(*, actor: Actor, file_id: UUID, condition: Precondition, task_id: UUID | None = None) -> None:
    """Delete a file of the actor's, or of a task that they made; its content goes after the commit.

    Args:
        task_id: the task that it must be attached to, if it was looked for there.

    Raises:
        StoredFileNotFound: also when somebody else was quicker.
        FileForbidden: they only see it.
        PreconditionFailed: it belongs to another task by now.
    """
    file = queries.find_file(actor, file_id, lock=True)
    if file is None or task_id not in (None, file.task_id):
        raise StoredFileNotFound
    if not actor.is_admin and file.owner_id != actor.user_id and not queries.is_of_own_task(actor, file):
        raise FileForbidden("Only who uploaded it, who made its task, or an administrator deletes a file.")
    # Below a task its content is what is read.
    condition.check_tag(file.entity_tag, file.sha256)
    removal.remove([file], actor=actor)


def remove_files_of_tasks(
    *, task_ids: Collection[UUID], actor: Actor | None, reason: str | None = None
) -> None:
    """Delete the files of tasks that go for good; their contents go after the commit."""
    removal.remove(queries.lock_files_of_tasks(task_ids), actor=actor, reason=reason)


def detach_files_of_tasks(*, task_ids: Collection[UUID]) -> None:
    """Leave the files of tasks to their owners alone."""
    for file in queries.lock_files_of_tasks(task_ids):
        file.task_id = None
        record_event("file.detached", subject=("file", file.id), owner_id=file.owner_id)
    session().flush()


def storage_use(user_id: UUID) -> dict[str, int | None]:
    """How many bytes a user's files take, and how many they may; None where there is no limit."""
    return {"used": usage.used_by(user_id), "allowed": runtime_settings().file_quota or None}
