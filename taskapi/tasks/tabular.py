"""Tasks as rows of a table: the columns of exports, which the import reads again."""

import json
from collections.abc import Iterable

COLUMNS = (
    *("id", "title", "description", "status", "priority", "due_date", "assignee", "creator", "tags"),
    *("city", "external_id", "notify_overdue", "comment_count", "file_count"),
    *("created_at", "updated_at", "completed_at"),
)
# What tables of other systems part tags with, so that a name may not hold it unmarked.
SEPARATORS = frozenset(",;|")


def tags_cell(names: Iterable[str]) -> str:
    """Tags by name, parted by ``; ``; a JSON list if one of the names would be read as several."""
    found = list(names)
    joined = "; ".join(found)
    if any(not SEPARATORS.isdisjoint(name) for name in found) or joined.startswith("["):
        return json.dumps(found, ensure_ascii=False)
    return joined
