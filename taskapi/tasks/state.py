"""What events and histories say of a task: its fields as JSON values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from taskapi.core.json import format_time
from taskapi.tasks.models import Tag, Task

FIELDS = (
    *("title", "description", "status", "priority", "due_date", "notify_overdue"),
    *("assignee_id", "external_id", "city"),
)


def state_of(task: Task, tags: Iterable[Tag]) -> dict[str, Any]:
    """All fields that people change."""
    fields = {name: _as_json(getattr(task, name)) for name in FIELDS}
    return {**fields, "tags": [tag.name for tag in tags]}


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what differs, on both sides."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def as_field(name: str, value: Any) -> Any:
    """The value of a field as it was before it became a JSON value."""
    if value is None:
        return None
    if name == "due_date":
        return datetime.fromisoformat(value)
    return UUID(value) if name == "assignee_id" else value


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return str(value) if isinstance(value, UUID) else value
