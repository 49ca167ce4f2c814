"""``reminder``: tells somebody something, as a notification and by e-mail."""

from typing import Any
from uuid import UUID

from marshmallow import fields, validate

from taskapi.core.db import transaction
from taskapi.core.schemas import Schema, Text
from taskapi.notifications import service as notifications
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext
from taskapi.schedules.actions.owners import owner_of, within_mail_limit
from taskapi.tasks import service as tasks
from taskapi.tasks.errors import TaskNotFound
from taskapi.tasks.models import Task


class ReminderParams(Schema):
    """What to say, and to whom by e-mail if not to the schedule's owner."""

    message = Text(minimum=1, maximum=2000, single_line=False, required=True)
    task_id = fields.UUID(metadata={"description": "A task of the owner's, which the reminder names"})
    to = fields.Email(validate=validate.Length(max=254))


def remind(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Notify the owner once per run, however often the run is attempted."""
    with within_mail_limit(), transaction():
        sent_to = _remind(context, params)
    context.log(f"Reminder handed to {', '.join(sent_to) or 'nobody'}.")
    return {"sent_to": sent_to}


def _remind(context: RunContext, params: dict[str, Any]) -> list[str]:
    task = _task(context, params["task_id"]) if "task_id" in params else None
    return notifications.remind(
        user_id=context.owner_id,
        title=context.schedule_name,
        message=params["message"],
        to=params.get("to"),
        key=f"run:{context.run_id}",
        task=(task.id, task.title) if task else None,
    )


def _task(context: RunContext, task_id: UUID) -> Task:
    try:
        return tasks.find_task(actor=owner_of(context), task_id=task_id)
    except TaskNotFound as error:
        message = "The owner of the schedule sees no task with this id (any more)."
        raise ActionFailed(message, code=error.code, permanent=True) from error


def _tells(params: dict[str, Any]) -> tuple[str, ...]:
    """What one says oneself anybody may be told; the title of a task is what one sees."""
    return ("to",) if params.get("task_id") else ()


REMINDER = Action("reminder", "Sends a notification and an e-mail", ReminderParams, remind, tells=_tells)
