"""Reads of files, scoped to who asks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.folding import folded
from taskapi.core.json_sql import JsonList, object_of
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.core.visibility import made_by, visible_ids
from taskapi.files.models import StoredFile
from taskapi.files.schemas import FileSchema


def visible_files(actor: Actor) -> sa.Select[StoredFile]:
    """Those of the actor's own, and those of tasks that the actor sees."""
    statement = sa.select(StoredFile)
    if actor.is_admin:
        return statement
    attached = StoredFile.task_id.in_(visible_ids("task", actor))
    return statement.where(sa.or_(StoredFile.owner_id == actor.user_id, attached))


def find_file(actor: Actor, file_id: UUID, *, lock: bool = False) -> StoredFile | None:
    """The file; locked, it waits for who changes it and then sees what they did."""
    statement = visible_files(actor).where(StoredFile.id == file_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def is_of_own_task(actor: Actor, file: StoredFile) -> bool:
    """Whether the file is attached to a task that the actor made."""
    made = made_by("task", actor).subquery()
    return session().scalar(sa.select(sa.exists().where(made.c.id == file.task_id))) is True


def find_with_blocks(actor: Actor, file_id: UUID) -> StoredFile | None:
    """The file with the hashes of its blocks, which are not read otherwise."""
    statement = visible_files(actor).where(StoredFile.id == file_id)
    return session().scalar(statement.options(undefer(StoredFile.blocks)))


def page_of_files(
    actor: Actor,
    page: PageRequest,
    *,
    q: str | None = None,
    content_type: Sequence[str] = (),
    task_id: UUID | None = None,
    owner_id: UUID | None = None,
    damaged: bool | None = None,
    created_before: datetime | None = None,
    created_after: datetime | None = None,
) -> Page[StoredFile]:
    statement = visible_files(actor)
    if q:
        statement = statement.where(StoredFile.name_key.contains(folded(q), autoescape=True))
    if content_type:
        statement = statement.where(StoredFile.content_type.in_([kind.lower() for kind in content_type]))
    if task_id is not None:
        statement = statement.where(StoredFile.task_id == task_id)
    if owner_id is not None:
        statement = statement.where(StoredFile.owner_id == owner_id)
    if damaged is not None:
        statement = statement.where(
            StoredFile.damage.is_not(None) if damaged else StoredFile.damage.is_(None)
        )
    if created_before is not None:
        statement = statement.where(StoredFile.created_at < created_before)
    if created_after is not None:
        statement = statement.where(StoredFile.created_at >= created_after)
    sorts = {
        "created_at": StoredFile.created_at,
        "filename": StoredFile.filename,
        "size": StoredFile.size,
    }
    return fetch_page(
        session(), statement, request_=page, sorts=sorts, default_sort="-created_at", key=StoredFile.id
    )


def files_of_task(task_id: UUID) -> Sequence[StoredFile]:
    """The files that are attached to a task, in the order in which they came."""
    statement = sa.select(StoredFile).where(StoredFile.task_id == task_id)
    return session().scalars(statement.order_by(StoredFile.created_at, StoredFile.id)).all()


def list_of_task(task_id: sa.ColumnElement[UUID]) -> JsonList:
    """JSON of the files that are attached to a task, in the order in which they came."""
    files = sa.select(object_of(FileSchema, StoredFile.__table__.c)).where(StoredFile.task_id == task_id)
    return JsonList(files.order_by(StoredFile.created_at, StoredFile.id))


def number_of_task(task_id: sa.ColumnElement[UUID]) -> sa.ScalarSelect[int]:
    """How many files are attached to a task."""
    return sa.select(sa.func.count()).where(StoredFile.task_id == task_id).scalar_subquery()


def count_by_task(task_ids: Collection[UUID]) -> dict[UUID, int]:
    statement = sa.select(StoredFile.task_id, sa.func.count()).where(StoredFile.task_id.in_(task_ids))
    rows = session().execute(statement.group_by(StoredFile.task_id))
    return {task_id: count for task_id, count in rows if task_id}


def lock_files(ids: Collection[UUID]) -> Sequence[StoredFile]:
    """Those of the files that are still there, as they are now.

    By id, as everybody locks several files: nobody waits in a ring.
    """
    statement = sa.select(StoredFile).where(StoredFile.id.in_(list(ids))).order_by(StoredFile.id)
    return session().scalars(statement.with_for_update().execution_options(populate_existing=True)).all()


def lock_files_of_tasks(task_ids: Collection[UUID]) -> Sequence[StoredFile]:
    """All files that are attached to the tasks, in the order in which everybody locks several."""
    statement = sa.select(StoredFile).where(StoredFile.task_id.in_(task_ids)).order_by(StoredFile.id)
    return session().scalars(statement.with_for_update().execution_options(populate_existing=True)).all()


def lock_files_of(owner_id: UUID) -> Sequence[StoredFile]:
    """All files of a user, in the order of their ids, as everybody locks several of them.

    All before the first is removed: who deletes one locks it, and then the count of what is used.
    """
    statement = sa.select(StoredFile).where(StoredFile.owner_id == owner_id).order_by(StoredFile.id)
    return session().scalars(statement.with_for_update()).all()
