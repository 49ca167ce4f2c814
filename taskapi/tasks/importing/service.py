"""Rules of imports: beginning, finding and undoing them."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import service as accounts
from taskapi.core.access import Actor
from taskapi.core.db import database_now, on_commit, read_database_clock, session
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import ANY_VERSION, Precondition
from taskapi.files import objects
from taskapi.files.uploading import Upload
from taskapi.tasks.importing import lease, queries
from taskapi.tasks.importing.errors import ImportNotFound, ImportNotUndoable
from taskapi.tasks.importing.models import UNDO_PERIOD, TaskImport, TaskImportChange


def start_import(*, actor: Actor, upload: Upload, people: dict[str, str], dry_run: bool) -> TaskImport:
    """Have the tasks of a table made and changed, by a worker.

    Args:
        people: what persons are called in the table → e-mail or username.
        dry_run: only find out what would come of it.

    Raises:
        TokenRevoked: the account was closed while the table arrived.
        UploadExpired
    """
    accounts.check_still_active(user_id=actor.user_id)
    # Long enough for workers that are away; the end of the import has it removed at once.
    objects.keep_object_for(upload.storage_key, seconds=UNDO_PERIOD.total_seconds())
    row = TaskImport(
        id=new_id(),
        owner_id=actor.user_id,
        filename=upload.filename,
        size=upload.content.size,
        sha256=upload.content.sha256,
        storage_key=upload.storage_key,
        people=people,
        dry_run=dry_run,
        lease_until=read_database_clock(),
    )
    session().add(row)
    session().flush()
    state = {"filename": row.filename, "dry_run": dry_run}
    record_event(
        "import.created", subject=("import", row.id), actor=actor, owner_id=actor.user_id, after=state
    )
    on_commit(upload.keep)
    lease.work_later(row)
    return row


def list_imports(*, actor: Actor, page: PageRequest, status: Sequence[str] = ()) -> Page[TaskImport]:
    """One's imports, newest first; an administrator sees all."""
    return queries.page_of_imports(actor, page, status=status)


def get_import(*, actor: Actor, import_id: UUID) -> TaskImport:
    """
    Raises:
        ImportNotFound
    """
    row = queries.find_import(actor, import_id)
    if row is None:
        raise ImportNotFound
    return row


def undo_import(*, actor: Actor, import_id: UUID, condition: Precondition = ANY_VERSION) -> TaskImport:
    """Have a worker delete the tasks that an import made, and take back what it changed in others.

    Raises:
        ImportNotFound, ImportNotUndoable, PreconditionFailed
    """
    row = queries.find_import(actor, import_id, lock=True)
    if row is None:
        raise ImportNotFound
    condition.check(row.version)
    if row.undo_until is None:
        raise ImportNotUndoable(f"There is nothing to undo: the import is {_state(row)}.")
    if row.undo_until < read_database_clock():
        raise ImportNotUndoable(f"An import can be undone for {UNDO_PERIOD.days} days.")
    row.status, row.undone_by, row.tries = "undoing", actor.user_id, 0
    row.lease_until = read_database_clock()
    row.version += 1
    session().flush()
    record_event("import.undo_requested", subject=("import", row.id), actor=actor, owner_id=row.owner_id)
    lease.work_later(row)
    return row


def forget_old_changes() -> None:
    """Remove what imports changed that cannot be undone any more."""
    too_old = TaskImport.finished_at <= database_now(-UNDO_PERIOD.total_seconds())
    old = sa.select(TaskImport.id).where(too_old, TaskImport.status.in_(("completed", "failed")))
    forgotten = sa.delete(TaskImportChange).where(TaskImportChange.import_id.in_(old))
    session().execute(forgotten.execution_options(synchronize_session=False))


def _state(row: TaskImport) -> str:
    if row.status not in ("completed", "failed"):
        return row.status
    return "a trial" if row.dry_run else f"{row.status} and changed nothing"
