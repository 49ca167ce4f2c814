"""Writes a batch of rows: new tasks, and changes of those that are known by their outside ids."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.errors import ValidationFailed
from taskapi.tasks import editing
from taskapi.tasks.drafts import Drafts
from taskapi.tasks.importing import queries
from taskapi.tasks.importing.models import TaskImport, TaskImportChange
from taskapi.tasks.importing.outcomes import Outcome
from taskapi.tasks.importing.people import find_people
from taskapi.tasks.importing.rows import Row, RowReader
from taskapi.tasks.models import Tag, Task
from taskapi.tasks.queries import tags_of

TWICE = "An earlier row has the same outside id: its task was changed by this one."
OF_NEW_TASKS = ("created_at", "completed_at", "external_id")


class BatchWriter:
    """Writes batches for an import, whose row is locked in each transaction."""

    def __init__(self, actor: Actor, reader: RowReader, known: dict[int, int]) -> None:
        """
        Args:
            known: in which row a trial has met an outside id, by its hash, as it leaves no tasks behind
                that would show it.
        """
        self._actor, self._reader, self._known = actor, reader, known

    def write(self, job: TaskImport, rows: Sequence[Row]) -> Outcome:
        """Make and change tasks.

        Raises:
            ExternalIdTaken: somebody was quicker with one of them; do it again.
        """
        # Their copies, so that what is noted here is noted once if it is done again.
        rows = [row.copy() for row in rows]
        outcome = Outcome(len(rows))
        good = [row for row in rows if row.is_task and not row.errors]
        self._assign(good, find_people(good, job.people))
        existing = queries.lock_known_tasks(self._actor.user_id, [row.external_id for row in good])
        new = [row for row in good if row.external_id not in existing]
        tags = tags_of([task.id for task in existing.values()])
        for row in good:
            if row.external_id in existing:
                task = existing[row.external_id]
                self._update(job, task, tags[task.id], row, outcome)
        self._create(job, new, outcome)
        for row in rows:
            outcome.failed += bool(row.errors)
            outcome.errors += row.errors
            outcome.warnings += row.warnings
        return outcome

    def _assign(self, rows: Sequence[Row], people: Mapping[str, UUID]) -> None:
        for row in rows:
            if row.person is None:
                continue
            if row.person in people:
                row.fields["assignee_id"] = people[row.person]
            else:
                message = f"There is no active user '{row.person[:100]}': the task is assigned to nobody."
                row.warnings.append(self._reader.note(row, "assignee", message))

    def _create(self, job: TaskImport, rows: Sequence[Row], outcome: Outcome) -> None:
        drafts = Drafts(self._actor, [_draft(job, row) for row in rows])
        for index, errors in drafts.errors.items():
            self._object(rows[index], errors)
        for row in rows:
            if not row.errors:
                again = job.dry_run and self._is_known(row)
                self._tell_of_change(row, is_own=again)
                outcome.updated += again
                outcome.created += not again
        drafts.write()

    def _update(self, job: TaskImport, task: Task, tags: Sequence[Tag], row: Row, outcome: Outcome) -> None:
        changes = _changes(task, tags, row)
        if not changes:
            outcome.unchanged += 1
            return
        try:
            before, after = editing.change(self._actor, task, changes, import_id=job.id)
        except ValidationFailed as error:
            self._object(row, error.errors)
            return
        outcome.updated += bool(after)
        outcome.unchanged += not after
        self._tell_of_change(row, is_own=bool(after) and task.import_id == job.id)
        # What an import made, an undo deletes; there is nothing to take back.
        if after and task.import_id != job.id:
            session().add(TaskImportChange(import_id=job.id, task_id=task.id, before=before, after=after))

    def _tell_of_change(self, row: Row, *, is_own: bool) -> None:
        """Two tasks may have got one id, as those of two people in one export may."""
        if is_own:
            row.warnings.append(self._reader.note(row, "external_id", TWICE))

    def _object(self, row: Row, errors: Mapping[str, Sequence[str]]) -> None:
        for name, messages in errors.items():
            field = "assignee" if name == "assignee_id" else name
            row.errors.append(self._reader.note(row, field, " ".join(messages)))

    def _is_known(self, row: Row) -> bool:
        """Whether an earlier row of a trial would have made the task."""
        if row.external_id is None:
            return False
        # Its own row, when a batch is done again, is no other.
        return self._known.setdefault(hash(row.external_id), row.number) != row.number


def _draft(job: TaskImport, row: Row) -> dict[str, Any]:
    draft = {**row.fields, "import_id": job.id}
    due_date = draft.get("due_date")
    if due_date is not None and due_date < clock.now():
        # It was past before the task came here: nobody is to be told of it for each row.
        draft["told_overdue"] = due_date
    return draft


def _changes(task: Task, tags: Sequence[Tag], row: Row) -> dict[str, Any]:
    """What the row says and is not so already."""
    # When a task was made elsewhere matters only where it is made here; and one that was recognised
    # by our own id has another outside id, or none.
    changes = {name: value for name, value in row.fields.items() if name not in OF_NEW_TASKS}
    if task.status == "overdue" and changes.get("status") == (task.earlier_status or "todo"):
        del changes["status"]
    if {name.casefold() for name in changes.get("tags", ())} == {tag.name_key for tag in tags}:
        changes.pop("tags", None)
    return {name: value for name, value in changes.items() if name == "tags" or getattr(task, name) != value}
