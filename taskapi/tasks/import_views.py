"""Endpoints of imports: the file is received before the view, and workers read it in."""

from typing import Any
from uuid import UUID

from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.incoming import UploadTooSlow
from taskapi.core.multipart import MalformedForm
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.receiving import receives
from taskapi.tasks.importing import service
from taskapi.tasks.importing.errors import ImportNotUndoable, ImportTooLarge, InvalidImport
from taskapi.tasks.importing.models import TaskImport
from taskapi.tasks.importing.receiving import ReceivedTable, table_of_form
from taskapi.tasks.importing.schemas import (
    ImportListQuery,
    ImportQuery,
    TaskImportDetailSchema,
    TaskImportSchema,
)

blp = Blueprint("imports", __name__, url_prefix="/api", description="Tasks: imports")

FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV with a header, and a filename"},
        "people": {
            "type": "string",
            "description": "JSON: what persons are called in the file → e-mail or username, such as"
            ' `{"17": "olivia@example.org"}`',
        },
    },
}
BODY = {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}


@blp.route("/tasks/import", methods=["POST"])
@blp.requires("write")
@receives(table_of_form, query=ImportQuery)
@blp.doc(requestBody=BODY)
@blp.problems(MalformedForm, UploadTooSlow, ImportTooLarge, InvalidImport, StorageFull, StorageUnavailable)
@blp.response(202, TaskImportDetailSchema, location="/api/tasks/imports/{0.id}")
def import_tasks(received: ReceivedTable) -> TaskImport:
    """Make and change tasks from a table, by a worker"""
    with transaction():
        return service.start_import(
            actor=current_actor(),
            upload=received.upload,
            people=received.people,
            dry_run=received.dry_run,
        )


@blp.route("/tasks/imports", methods=["GET"])
@blp.requires("read")
@blp.arguments(ImportListQuery, location="query")
@blp.response(200, page_schema(TaskImportSchema))
def list_imports(query: dict[str, Any]) -> Page[TaskImport]:
    """One's imports, newest first; an admin sees all"""
    return service.list_imports(actor=current_actor(), **query)


@blp.route("/tasks/imports/<uuid:import_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, TaskImportDetailSchema)
def get_import(import_id: UUID) -> TaskImport:
    """How far an import is, and what is wrong with its rows"""
    return service.get_import(actor=current_actor(), import_id=import_id)


@blp.route("/tasks/imports/<uuid:import_id>/undo", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.problems(ImportNotUndoable)
@blp.response(202, TaskImportDetailSchema)
def undo_import(import_id: UUID, *, condition: Precondition) -> TaskImport:
    """Delete the tasks that an import made, and take back what it changed, within seven days"""
    with transaction():
        return service.undo_import(actor=current_actor(), import_id=import_id, condition=condition)
