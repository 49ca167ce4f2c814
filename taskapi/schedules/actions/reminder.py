"""``reminder``: tells somebody something, as a notification and by e-mail."""

from typing import Any

from marshmallow import fields, validate

from taskapi.core.db import transaction
from taskapi.core.schemas import Schema, Text
from taskapi.notifications import service as notifications
from taskapi.schedules.actions.base import Action, RunContext


class ReminderParams(Schema):
    """What to say, and to whom by e-mail if not to the schedule's owner."""

    message = Text(minimum=1, maximum=2000, single_line=False, required=True)
    to = fields.Email(validate=validate.Length(max=254))


def remind(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Notify the owner once per run, however often the run is attempted."""
    with transaction():
        sent_to = notifications.remind(
            user_id=context.owner_id,
            title=context.schedule_name,
            message=params["message"],
            to=params.get("to"),
            key=f"run:{context.run_id}",
        )
    context.log(f"Reminder handed to {', '.join(sent_to) or 'nobody'}.")
    return {"sent_to": sent_to}


REMINDER = Action("reminder", "Sends a notification and an e-mail", ReminderParams, remind)
