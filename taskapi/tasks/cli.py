"""`flask admin tasks`: everybody's tasks from the shell."""

from uuid import UUID

import click

from taskapi.accounts import service as accounts
from taskapi.accounts.completing import complete_login
from taskapi.core.cli import as_json_option, confirm, fail_with_one_line, print_rows, yes_option
from taskapi.core.db import transaction
from taskapi.tasks import operating
from taskapi.tasks.errors import TaskNotFound
from taskapi.tasks.models import STATUSES

COLUMNS = ("id", "title", "status", "priority", "due_date", "creator", "assignee", "created_at")
DETAILS = (*COLUMNS, "description", "external_id", "city", "updated_at", "completed_at", "deleted_at")


@click.group("tasks", help="Tasks: list, show, cancel, delete, restore.")
def tasks() -> None:
    """Group of the commands below."""


@tasks.command("list")
@click.option(
    "--user",
    metavar="USER",
    shell_complete=complete_login,
    help="Only those that this user made or is to do.",
)
@click.option("--status", multiple=True, type=click.Choice(STATUSES, case_sensitive=False))
@click.option("--deleted", is_flag=True, help="Deleted ones instead.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many; all when left out.")
@as_json_option
@fail_with_one_line
def list_tasks(
    user: str | None, status: tuple[str, ...], deleted: bool, limit: int | None, as_json: bool
) -> None:
    """List tasks, newest first."""
    user_id = None if user is None else accounts.get_user_by_login(login=user).id
    found = operating.list_tasks(user_id=user_id, statuses=status, deleted=deleted, limit=limit)
    print_rows(found, COLUMNS, as_json=as_json)


@tasks.command("show")
@click.argument("task_id", metavar="ID")
@as_json_option
@fail_with_one_line
def show_task(task_id: str, as_json: bool) -> None:
    """Show a task, deleted or not."""
    print_rows([operating.show_task(task_id=_id(task_id))], DETAILS, as_json=as_json)


@tasks.command("cancel")
@click.argument("task_id", metavar="ID")
@as_json_option
@fail_with_one_line
def cancel_task(task_id: str, as_json: bool) -> None:
    """Cancel a task."""
    with transaction():
        task = operating.cancel_task(task_id=_id(task_id))
    print_rows([task], COLUMNS, as_json=as_json)


@tasks.command("delete")
@click.argument("task_id", metavar="ID")
@yes_option
@as_json_option
@fail_with_one_line
def delete_task(task_id: str, yes: bool, as_json: bool) -> None:
    """Delete a task; it can be restored."""
    title = operating.show_task(task_id=_id(task_id)).title
    confirm(f"Delete task {title!r}?", yes=yes)
    with transaction():
        task = operating.delete_task(task_id=_id(task_id))
    print_rows([task], COLUMNS, as_json=as_json)


@tasks.command("restore")
@click.argument("task_id", metavar="ID")
@as_json_option
@fail_with_one_line
def restore_task(task_id: str, as_json: bool) -> None:
    """Bring a deleted task back."""
    with transaction():
        task = operating.restore_task(task_id=_id(task_id))
    print_rows([task], COLUMNS, as_json=as_json)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise TaskNotFound(f"There is no task {text!r}.") from None
