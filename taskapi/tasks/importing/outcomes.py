"""What came of rows, batch by batch, and how an import ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from taskapi.core.db import read_database_clock, session
from taskapi.core.events import record_event
from taskapi.files import objects
from taskapi.tasks.importing import lease
from taskapi.tasks.importing.models import TaskImport
from taskapi.tasks.importing.rows import Note

MAX_NOTES = 1_000


@dataclass(slots=True)
class Outcome:
    """What came of a batch."""

    rows: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)


def add(row: TaskImport, outcome: Outcome) -> None:
    """Write down what came of the next batch of an import, which is locked."""
    row.done_rows += outcome.rows
    row.created += outcome.created
    row.updated += outcome.updated
    row.unchanged += outcome.unchanged
    row.failed += outcome.failed
    # Read only if there is something to add: they may be long.
    if outcome.errors:
        row.errors, more = _joined(row.errors, outcome.errors)
        row.more_errors += more
    if outcome.warnings:
        row.warnings, more = _joined(row.warnings, outcome.warnings)
        row.more_warnings += more
    lease.move_on(row)
    record_progress(row)


def record_progress(row: TaskImport) -> None:
    """Tell who follows the import that it got further."""
    record_event("import.progressed", subject=("import", row.id), owner_id=row.owner_id)


def end(row: TaskImport, status: str, *, error: dict[str, str] | None = None) -> None:
    """End an import, which is locked; its owner hears of it."""
    row.status, row.error = status, error
    row.finished_at = read_database_clock()
    row.version += 1
    session().flush()
    # An undo comes after the end, which had the content removed.
    if status != "undone":
        objects.give_up_object(row.storage_key)
    state = {
        name: getattr(row, name)
        for name in ("filename", "dry_run", "created", "updated", "unchanged", "failed", "error")
    }
    record_event(f"import.{status}", subject=("import", row.id), owner_id=row.owner_id, after=state)


def _joined(known: list[Note], new: Sequence[Note]) -> tuple[list[Note], int]:
    """The first notes, in the order in which they came, and how many of the new ones are left out."""
    room = max(MAX_NOTES - len(known), 0)
    # A new list: what changes inside of one is not seen.
    return [*known, *new[:room]], max(len(new) - room, 0)
