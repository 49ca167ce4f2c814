"""``report``: an export as the schedule's owner sees things, kept among their files and mailed."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import marshmallow as ma
from marshmallow import fields, validate

from taskapi.accounts.errors import TokenRevoked
from taskapi.analytics.exporting import csv_of_figures, csv_of_tasks, xlsx_of_figures, xlsx_of_tasks
from taskapi.analytics.queries import count_by_status
from taskapi.analytics.schemas import FORMATS, TrendsQuery
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.clients.storage.local import disk_errors
from taskapi.core.access import Actor, acting_as
from taskapi.core.db import transaction
from taskapi.core.errors import ContentTooLarge, ValidationFailed
from taskapi.core.incoming import PIECE_BYTES, Content, Limits, incoming_file
from taskapi.core.runtime import runtime_settings
from taskapi.core.schemas import Schema, Word
from taskapi.files import uploading, usage
from taskapi.files.errors import QuotaExceeded, StoredFileNotFound
from taskapi.files.service import get_file
from taskapi.files.zips import XLSX
from taskapi.notifications.recipients import find_recipient
from taskapi.notifications.reports import tell_of_report
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext
from taskapi.schedules.actions.owners import owner_of, refused, within_mail_limit
from taskapi.tasks.schemas import TaskFilters

LARGEST_BYTES = 1 << 30
TYPES = {"csv": "text/csv", "xlsx": XLSX}
FILTERS: dict[str, type[Schema]] = {"tasks": TaskFilters, "analytics": TrendsQuery}
WRITERS: dict[tuple[str, str], Callable[..., Generator[bytes] | BinaryIO]] = {
    ("tasks", "csv"): csv_of_tasks,
    ("tasks", "xlsx"): xlsx_of_tasks,
    ("analytics", "csv"): csv_of_figures,
    ("analytics", "xlsx"): xlsx_of_figures,
}


class ReportParams(Schema):
    """What the report tells, and who gets it by e-mail if not the schedule's owner."""

    kind = Word(tuple(FILTERS), required=True)
    format = Word(FORMATS, load_default="xlsx")
    filters = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata={
            "description": "Those of the list of tasks; for analytics `start_date`, `end_date`, `interval`"
        },
    )
    to = fields.Email(validate=validate.Length(max=254))


def check(params: dict[str, Any]) -> None:
    """Refuse filters that the list of tasks, or the trends, would refuse."""
    try:
        _read_filters(params)
    except ma.ValidationError as error:
        raise ma.ValidationError({"filters": error.messages}) from error


def report(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Make the report unless an earlier attempt has, and tell of it; its file has the run's id."""
    with within_mail_limit(), transaction():
        actor = owner_of(context)
        # Before the work: there may be no room for its e-mail.
        find_recipient(user_id=actor.user_id, kind="report", to=params.get("to"), key=f"run:{context.run_id}")
    try:
        facts = _find(context, actor) or _make(context, actor, params)
    except (StorageFull, StorageUnavailable, ContentTooLarge, QuotaExceeded, TokenRevoked) as error:
        permanent = isinstance(error, (ContentTooLarge, QuotaExceeded, TokenRevoked))
        raise ActionFailed(error.detail, code=error.code, permanent=permanent) from error
    except ValidationFailed as error:
        raise refused(error) from error
    filters = _filters_for(actor, params) if params["kind"] == "tasks" else {}
    with within_mail_limit(), transaction():
        sent_to = tell_of_report(
            user_id=actor.user_id,
            title=context.schedule_name,
            counts=count_by_status(actor, **filters),
            file_id=context.run_id,
            to=params.get("to"),
            key=f"run:{context.run_id}",
            **facts,
        )
    context.log(f"{facts['filename']}, {facts['size']} bytes, handed to {', '.join(sent_to) or 'nobody'}.")
    return {"file_id": str(context.run_id), **facts, "sent_to": sent_to}


def _find(context: RunContext, actor: Actor) -> dict[str, Any] | None:
    with transaction():
        try:
            return _facts(get_file(actor=actor, file_id=context.run_id))
        except StoredFileNotFound:
            return None


def _make(context: RunContext, actor: Actor, params: dict[str, Any]) -> dict[str, Any]:
    day = context.scheduled_for.astimezone(ZoneInfo(context.timezone)).date()
    name, kind = f"{params['kind']}-{day}.{params['format']}", TYPES[params["format"]]
    settings = runtime_settings()
    with _written(context, actor, params) as content:
        usage.check_room(owner_id=actor.user_id, size=content.size, quota=settings.file_quota)
        with uploading.in_store(content=content, filename=name, content_type=kind) as upload, transaction():
            file = uploading.create_file(
                actor=actor, upload=upload, settings=settings, file_id=context.run_id
            )
            return _facts(file)


def _facts(file: Any) -> dict[str, Any]:
    return {"filename": file.filename, "size": file.size}


@contextmanager
def _written(context: RunContext, actor: Actor, params: dict[str, Any]) -> Iterator[Content]:
    filters = _filters_for(actor, params)
    limits = Limits(directory=current_storage().incoming, max_size=LARGEST_BYTES)
    with disk_errors(), incoming_file(limits) as file:
        for piece in _pieces(WRITERS[params["kind"], params["format"]](actor=actor, **filters)):
            context.check_cancelled()
            file.write(piece)
        yield file.finish()


def _pieces(written: Generator[bytes] | BinaryIO) -> Iterator[bytes]:
    if isinstance(written, Generator):
        yield from written
        return
    with written:
        while piece := written.read(PIECE_BYTES):
            yield piece


def _filters_for(actor: Actor, params: dict[str, Any]) -> dict[str, Any]:
    """The filters; their plain dates are days of the actor's calendar."""
    with acting_as(actor):
        return _read_filters(params)


def _read_filters(params: dict[str, Any]) -> dict[str, Any]:
    """The filters as their list reads them; one value may stand for a list of it, as in a query."""
    schema, sent = FILTERS[params["kind"]](), params["filters"]
    lists = {name for name, field in schema.fields.items() if isinstance(field, fields.List)}
    read: dict[str, Any] = schema.load(
        {
            name: [value] if name in lists and not isinstance(value, list) else value
            for name, value in sent.items()
        }
    )
    return read


REPORT = Action(
    "report",
    "Makes a report of tasks or figures, keeps it and mails it",
    ReportParams,
    report,
    check=check,
    tells=lambda _params: ("to",),
)
