"""Which columns of a table mean which field of a task, by their names in the header."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskapi.core.folding import folded
from taskapi.tasks.importing.errors import InvalidImport

# What other systems call the fields; of several columns the name that stands first here is taken.
NAMES = {
    "title": ("title", "taskname", "name", "task", "summary", "content", "subject"),
    "description": ("description", "details", "body", "notes"),
    "status": ("status", "state"),
    # The other way round than a status: true is done.
    "completed": ("completed", "iscompleted", "done"),
    "priority": ("priority",),
    "due_date": ("duedate", "due", "deadline", "date"),
    "assignee": (
        *("assignee", "assignedto", "assigneduserid", "assigneeemail", "assigneeid", "assigneduser"),
        *("assignees", "responsible", "owner"),
    ),
    "tags": ("tags", "labels", "tag", "label"),
    "external_id": ("externalid", "id", "taskid", "key", "number"),
    "city": ("city",),
    "notify_overdue": ("notifyoverdue",),
    "created_at": ("createdat", "created"),
    "completed_at": ("completedat", "closedat"),
    # Beside CONTENT, as Todoist writes it: what is no task says so.
    "kind": ("type",),
}
MAX_NAME_LENGTH = 100
# So many of the columns that mean nothing here are told.
MAX_IGNORED = 100
FIELD_OF = {name: field for field, names in NAMES.items() for name in names}
NO_TITLE = (
    "The first row names no column for the title: begin the file with a header such as title,status,due_date."
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field stands.

    Attributes:
        header: the names as they stand in the file.
        places: field → columns, from 0; only an outside id has several, of which the first filled one counts.
        ignored: names of columns that mean nothing here.
    """

    header: Sequence[str]
    places: dict[str, list[int]]
    ignored: list[str]

    @property
    def of_tasks(self) -> list[str]:
        """The fields that a task has."""
        return [name for name in self.places if name != "kind"]

    def name_of(self, field: str) -> str:
        """What the file calls a field."""
        return self.header[self.places[field][0]] if field in self.places else field

    def cell(self, cells: Sequence[str], field: str) -> str | None:
        """What a row says of a field, empty if only blanks; None if the table has no such column."""
        found = [cells[place] for place in self.places.get(field, ())]
        return next((cell for cell in found if cell.strip()), "") if found else None


def count_known(header: Sequence[str]) -> int:
    """How many of the names mean a field."""
    return sum(_simple(name[:MAX_NAME_LENGTH]) in FIELD_OF for name in header)


def find_columns(header: Sequence[str]) -> Columns:
    """
    Raises:
        InvalidImport: none is a title.
    """
    # Errors of rows repeat a name: it may be anything, also a whole file.
    names = [name.strip()[:MAX_NAME_LENGTH] for name in header]
    simple = [_simple(name) for name in names]
    places: dict[str, list[int]] = {}
    for field, known in NAMES.items():
        found = [simple.index(name) for name in known if name in simple]
        if found:
            places[field] = found if field == "external_id" else found[:1]
    if "title" not in places:
        raise InvalidImport(NO_TITLE)
    if "status" in places:
        places.pop("completed", None)
    if simple[places["title"][0]] != "content":
        places.pop("kind", None)
    used = {place for found in places.values() for place in found}
    ignored = [name for place, name in enumerate(names) if name and place not in used]
    return Columns(names, places, ignored[:MAX_IGNORED])


def _simple(name: str) -> str:
    return "".join(letter for letter in folded(name) if letter.isalnum())
