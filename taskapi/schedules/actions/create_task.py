"""``create_task``: makes a task from a template, one for each run however often that is attempted."""

from datetime import timedelta
from typing import Any

import marshmallow as ma

from taskapi.accounts import service as accounts
from taskapi.core.db import transaction
from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import Schema, Seconds, Text
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext
from taskapi.schedules.actions.owners import owner_of, refused
from taskapi.schedules.actions.templates import LONGEST, check_template, filled, values_of
from taskapi.tasks import service as tasks
from taskapi.tasks.errors import ExternalIdTaken
from taskapi.tasks.schemas import MAX_DESCRIPTION, TaskFieldsSchema

TEN_YEARS = 3_653 * 86_400.0
MAX_TITLE = 200
TEMPLATES = ("title", "description")


class CreateTaskParams(TaskFieldsSchema):
    """The task as it will be; ``{date}`` and the like in title and description tell of the due time."""

    class Meta(Schema.Meta):
        # They would be the same for every task.
        exclude = ("due_date", "external_id")

    title = Text(minimum=1, maximum=MAX_TITLE, required=True)
    due_in = Seconds(
        minimum=0,
        maximum=TEN_YEARS,
        metadata={"description": "When the task is due, after the run's due time"},
    )


def check(params: dict[str, Any]) -> None:
    """Refuse templates that cannot be filled in, and an assignee who is nobody."""
    for name in TEMPLATES:
        try:
            check_template(params.get(name, ""))
        except ma.ValidationError as error:
            raise ma.ValidationError(error.messages, name) from error
    if len(filled(params["title"], LONGEST)) > MAX_TITLE:
        raise ma.ValidationError(f"Filled in, it is longer than {MAX_TITLE} characters.", "title")
    assignee = params.get("assignee_id")
    if assignee and not accounts.lock_active(user_ids=[assignee]):
        raise ma.ValidationError("There is no active user with this id.", "assignee_id")


def create_task(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Make the task unless an earlier attempt has; it has the run's id, so that there is only one."""
    draft = {name: value for name, value in params.items() if name != "due_in"}
    values = values_of(context.scheduled_for, context.timezone, context.run_id)
    for name in TEMPLATES:
        if name in draft:
            draft[name] = filled(draft[name], values)
    draft["description"] = draft.get("description", "")[:MAX_DESCRIPTION]
    if "due_in" in params:
        draft["due_date"] = context.scheduled_for + timedelta(seconds=params["due_in"])
    with transaction():
        if not tasks.was_made(task_id=context.run_id):
            _make(context, draft)
    context.log(f"Task {context.run_id}: {draft['title']}")
    return {"task_id": str(context.run_id)}


def _make(context: RunContext, draft: dict[str, Any]) -> None:
    try:
        tasks.create_task(actor=owner_of(context), id=context.run_id, **draft)
    except ExternalIdTaken as error:
        # Another attempt at this very moment: the next one finds its task.
        raise ActionFailed("The task is just being made by another attempt.", code="task_exists") from error
    except ValidationFailed as error:
        raise refused(error) from error


CREATE_TASK = Action(
    "create_task", "Makes a task from a template", CreateTaskParams, create_task, check=check
)
