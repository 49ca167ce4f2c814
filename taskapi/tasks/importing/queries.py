"""Reads of imports, and of the tasks that they meet."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.tasks.importing.models import TaskImport, TaskImportChange
from taskapi.tasks.models import Task
from taskapi.tasks.queries import is_id

SORTS = {"created_at": TaskImport.created_at}


def find_import(actor: Actor, import_id: UUID, *, lock: bool = False) -> TaskImport | None:
    """An import that the actor sees."""
    statement = sa.select(TaskImport).where(TaskImport.id == import_id, _is_visible(actor))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session().scalar(statement)


def page_of_imports(actor: Actor, page: PageRequest, *, status: Sequence[str] = ()) -> Page[TaskImport]:
    statement = sa.select(TaskImport).where(_is_visible(actor))
    if status:
        statement = statement.where(TaskImport.status.in_(status))
    return fetch_page(
        session(), statement, request_=page, sorts=SORTS, default_sort="-created_at", key=TaskImport.id
    )


def lock_known_tasks(creator_id: UUID, external_ids: Sequence[str | None]) -> dict[str | None, Task]:
    """One's tasks that have these outside ids, or whose own ids these are, as in our own exports."""
    wanted = [external_id for external_id in external_ids if external_id]
    ids = [UUID(text) for text in wanted if is_id(text)]
    if not wanted:
        return {}
    known = sa.or_(Task.external_id.in_(wanted), Task.id.in_(ids))
    statement = sa.select(Task).where(Task.creator_id == creator_id, Task.deleted_at.is_(None), known)
    # In one order, or two imports could wait for each other's tasks.
    locked = statement.order_by(Task.id).with_for_update().execution_options(populate_existing=True)
    tasks = session().scalars(locked).all()
    by_id: dict[str | None, Task] = {str(task.id): task for task in tasks}
    return {**by_id, **{task.external_id: task for task in tasks if task.external_id}}


def lock_changes(import_id: UUID, limit: int) -> Sequence[TaskImportChange]:
    """What an import changed and nobody has taken back, newest first."""
    changes = sa.select(TaskImportChange).where(TaskImportChange.import_id == import_id)
    return session().scalars(changes.order_by(TaskImportChange.id.desc()).limit(limit)).all()


def lock_made_tasks(import_id: UUID, limit: int) -> Sequence[Task]:
    """Tasks that an import made and that are there still."""
    made = sa.select(Task).where(Task.import_id == import_id, Task.deleted_at.is_(None))
    statement = made.order_by(Task.id).limit(limit).with_for_update()
    return session().scalars(statement.execution_options(populate_existing=True)).all()


def lock_task(task_id: UUID) -> Task | None:
    """A task that is not deleted, whoever sees it."""
    statement = sa.select(Task).where(Task.id == task_id, Task.deleted_at.is_(None)).with_for_update()
    return session().scalar(statement.execution_options(populate_existing=True))


def _is_visible(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.true() if actor.is_admin else TaskImport.owner_id == actor.user_id
