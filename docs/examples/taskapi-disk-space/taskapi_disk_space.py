"""``disk_space``: fails when the disk that holds a path has less free space than it should."""

import shutil
from typing import Any

from marshmallow import ValidationError, fields, validate

from taskapi.plugins import Action, ActionFailed, RunContext, Schema, Text


class DiskSpaceParams(Schema):
    """Which disk, and how much of it must be free."""

    path = Text(minimum=1, maximum=4096, load_default="/")
    free_percent = fields.Float(validate=validate.Range(min=0, max=100), load_default=10.0)


def check(params: dict[str, Any]) -> None:
    """Refuse a relative path when the schedule is made: nobody knows where workers are started."""
    if not params["path"].startswith("/"):
        raise ValidationError("Send an absolute path.", "path")


def measure(context: RunContext, params: dict[str, Any]) -> dict[str, float]:
    """What is free, as the run's result, or the failure that the schedule's owner is told of."""
    try:
        usage = shutil.disk_usage(params["path"])
    except OSError as error:
        raise ActionFailed(
            f"{params['path']}: {error.strerror}", code="no_such_disk", permanent=True
        ) from error
    free = round(100 * usage.free / usage.total, 1)
    context.log(f"{free} % of {usage.total:,} bytes are free.")
    if free < params["free_percent"]:
        # Space comes back by itself when somebody tidies up: worth another attempt.
        raise ActionFailed(f"Only {free} % are free.", code="disk_full")
    return {"free_percent": free}


DISK_SPACE = Action("disk_space", "Watches the free space of a disk", DiskSpaceParams, measure, check=check)
