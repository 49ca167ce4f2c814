"""Endpoints of the files that are attached to a task."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Response

from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint, json_answer
from taskapi.core.db import transaction
from taskapi.core.errors import PreconditionFailed
from taskapi.core.multipart import MalformedForm
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.receiving import receives
from taskapi.core.runtime import runtime_settings
from taskapi.files.describing import (
    CONDITIONS,
    CONTENT,
    CONTENT_RANGE,
    LOCATION,
    UPLOAD_PROBLEMS,
    VALIDATORS,
)
from taskapi.files.errors import FileDamaged, FileForbidden, RangeNotSatisfiable
from taskapi.files.receiving import MAX_FILES, Parts
from taskapi.files.schemas import FileSchema
from taskapi.files.sending import send_content
from taskapi.tasks import attaching
from taskapi.tasks.attaching import Attached
from taskapi.tasks.attachment_schemas import AttachedFilesSchema, AttachmentQuery
from taskapi.tasks.receiving import attachments_from_form

if TYPE_CHECKING:
    from taskapi.files.models import StoredFile

blp = Blueprint(
    "attachments", __name__, url_prefix="/api/tasks/<uuid:task_id>/files", description="Attachments"
)

FILE = {"type": "string", "format": "binary", "description": "With a filename"}
FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": {"type": "array", "minItems": 1, "maxItems": MAX_FILES, "items": FILE}},
}


@blp.route("", methods=["POST"])
@blp.requires("write")
@receives(attachments_from_form)
@blp.doc(requestBody={"required": True, "content": {"multipart/form-data": {"schema": FORM}}})
@blp.problems(MalformedForm, *UPLOAD_PROBLEMS)
@blp.response(201, AttachedFilesSchema, location="/api/tasks/{0.task_id}/files")
@blp.alt_response(207, schema=AttachedFilesSchema, description="Some were attached, others refused")
def attach_files(task_id: UUID, *, received: Parts) -> Attached | Response:
    """Attach files to a task by a form: one or many parts named `file`

    When all are refused, the answer is the problem of the first.
    """
    actor, settings = current_actor(), runtime_settings()
    with transaction():
        attached = attaching.attach_files(actor=actor, task_id=task_id, received=received, settings=settings)
    return attached if attached.is_whole else json_answer(AttachedFilesSchema, attached, status=207)


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(AttachmentQuery, location="query")
@blp.response(200, page_schema(FileSchema))
def list_attachments(query: dict[str, Any], task_id: UUID) -> "Page[StoredFile]":
    """The files of a task, newest first"""
    return attaching.list_attachments(actor=current_actor(), task_id=task_id, **query)


@blp.route("/<uuid:file_id>", methods=["GET"])
@blp.requires("read")
@blp.problems(PreconditionFailed, FileDamaged, RangeNotSatisfiable, StorageUnavailable)
@blp.doc(parameters=CONDITIONS)
@blp.alt_response(206, **CONTENT, description="A part of it", headers=VALIDATORS | CONTENT_RANGE)
@blp.alt_response(302, description="Download it from there", headers=LOCATION)
@blp.alt_response(304, description="Not changed since the answer with this ETag", headers=VALIDATORS)
@blp.response(200, CONTENT["schema"], content_type="*/*", headers=VALIDATORS)
def download_attachment(task_id: UUID, file_id: UUID) -> Response:
    """Download a file of a task, or a part of it, as `/api/files/{id}/content` does"""
    return send_content(
        attaching.get_attachment_to_read(actor=current_actor(), task_id=task_id, file_id=file_id)
    )


@blp.route("/<uuid:file_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(FileForbidden)
@blp.response(204)
def delete_attachment(task_id: UUID, file_id: UUID, *, condition: Precondition) -> None:
    """Delete a file of a task for good"""
    with transaction():
        attaching.delete_attachment(
            actor=current_actor(), task_id=task_id, file_id=file_id, condition=condition
        )
