"""What the systems that people leave for this one call things: their paths, and the words of their requests.

One place holds all of it; ``docs/coming-from.md`` tells the same, and a test compares the two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskapi.core.errors import ValidationFailed
from taskapi.tasks.importing import values

ACTIONS = {"reminders": "reminder", "cleanup": "file_cleanup", "file cleanup": "file_cleanup"}
PARAMS = ("message", "older_than_days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How an older request says what one of ours says.

    Attributes:
        names: fields and query parameters by their older names.
        values: what is done with the value of a field of ours.
        dropped: fields of a body that are not the caller's to set, as older clients send a thing back whole.
        finish: what is left to do with a body of ours.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    finish: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body

    def say(self, name: str, value: Any) -> tuple[str, Any]:
        """The name and the value as we call them."""
        name = self.names.get(name, name)
        read = self.values.get(name)
        return name, read(value) if read else value

    def translate(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body as we read it; what it does not know stays, for the endpoint to judge.

        Raises:
            ValidationFailed: a field stands there by two of its names.
        """
        said: dict[str, Any] = {}
        for older, told in body.items():
            if older in self.dropped:
                continue
            name, value = self.say(older, told)
            if name in said:
                raise ValidationFailed({older: [f"This is '{name}', which is sent, too."]})
            said[name] = value
        return self.finish(said)


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """An older path and the path that takes its place, with the same names in braces.

    ``{path:rest}`` stands for everything that follows, slashes included. ``methods`` names those that
    another method takes the place of.
    """

    path: str
    successor: str
    dialect: Dialect = field(default_factory=Dialect)
    methods: Mapping[str, str] = field(default_factory=dict)


def _action(value: Any) -> Any:
    return ACTIONS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _with_params(body: dict[str, Any]) -> dict[str, Any]:
    """Older schedules have what an action needs among their own fields, and a reminder needs nothing."""
    params = body.get("params", {})
    if not isinstance(params, dict):
        return body
    moved = {name: body.pop(name) for name in PARAMS if name in body}
    unsaid = {"message": "Reminder"} if body.get("action") == "reminder" else {}
    return {**body, "params": {**unsaid, **moved, **params}}


def _status(value: Any) -> Any:
    """A status by any of the words that an import understands; true is todo and false done there, too."""
    try:
        return values.status(str(value)) or value
    except values.WrongValue:
        return value


TASK = Dialect(
    names={"task_name": "title", "assigned_user_id": "assignee_id", "assigned_to": "assignee_id"},
    values={"status": _status},
    dropped=frozenset({"id", "user_id", "weather", "created_at", "updated_at"}),
)
SCHEDULE = Dialect(
    names={"task_name": "name", "task_type": "action", "schedule_time": "run_at"},
    values={"action": _action},
    dropped=frozenset({"id", "user_id", "status", "created_at"}),
    finish=_with_params,
)
# Nobody knows any more by which method a client of the older path cancels.
CANCEL = {"DELETE": "POST", "PUT": "POST", "PATCH": "POST"}

ALIASES = (
    # Paths without a prefix. What two systems mean differently means what is said here.
    Alias("/register", "/api/auth/register"),
    Alias("/login", "/api/auth/login"),
    Alias("/me", "/api/auth/me"),
    Alias("/upload", "/api/files"),
    Alias("/list", "/api/files"),
    Alias("/delete/{file_id}", "/api/files/{file_id}"),
    Alias("/schedule", "/api/schedules", SCHEDULE),
    Alias("/cancel/{task_id}", "/api/schedules/{task_id}/cancel", methods=CANCEL),
    Alias("/users", "/api/admin/users"),
    # The same with one, which tells files, schedules and administration apart.
    Alias("/users/register", "/api/auth/register"),
    Alias("/users/login", "/api/auth/login"),
    Alias("/users/me", "/api/auth/me"),
    Alias("/files/upload", "/api/files"),
    Alias("/files/list", "/api/files"),
    Alias("/files/delete/{file_id}", "/api/files/{file_id}"),
    Alias("/tasks/schedule", "/api/schedules", SCHEDULE),
    Alias("/tasks/list", "/api/schedules"),
    Alias("/tasks/cancel/{task_id}", "/api/schedules/{task_id}/cancel", methods=CANCEL),
    Alias("/admin/users", "/api/admin/users"),
    Alias("/admin/tasks", "/api/admin/schedules"),
    # Work items in the singular.
    Alias("/api/register", "/api/auth/register"),
    Alias("/api/login", "/api/auth/login"),
    Alias("/api/upload-csv", "/api/tasks/import"),
    Alias("/api/task", "/api/tasks", TASK),
    Alias("/api/task/{task_id}", "/api/tasks/{task_id}", TASK),
    # Ours without /api.
    Alias("/auth/{path:rest}", "/api/auth/{rest}"),
    Alias("/tasks", "/api/tasks", TASK),
    Alias("/tasks/{task_id}", "/api/tasks/{task_id}", TASK),
    Alias("/tasks/{path:rest}", "/api/tasks/{rest}"),
    Alias("/analytics", "/api/analytics"),
    Alias("/analytics/{path:rest}", "/api/analytics/{rest}"),
)
