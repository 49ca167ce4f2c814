"""Endpoints of files that are there; ``upload_views`` takes new ones."""

from typing import Any
from uuid import UUID

from flask import Response

from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.errors import PreconditionFailed
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.files import service
from taskapi.files.describing import CONDITIONS, CONTENT, CONTENT_RANGE, LOCATION, VALIDATORS
from taskapi.files.errors import FileDamaged, FileForbidden, RangeNotSatisfiable
from taskapi.files.models import StoredFile
from taskapi.files.schemas import FileQuery, FileSchema
from taskapi.files.sending import send_content

blp = Blueprint("files", __name__, url_prefix="/api", description="Files")


@blp.route("/files", methods=["GET"])
@blp.requires("read")
@blp.arguments(FileQuery, location="query")
@blp.response(200, page_schema(FileSchema))
def list_files(query: dict[str, Any]) -> Page[StoredFile]:
    """One's files; an admin sees all"""
    return service.list_files(actor=current_actor(), **query)


@blp.route("/files/<uuid:file_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, FileSchema)
def get_file(file_id: UUID) -> StoredFile:
    """What is known of a file"""
    return service.get_file(actor=current_actor(), file_id=file_id)


@blp.route("/files/<uuid:file_id>/content", methods=["GET"])
@blp.requires("read")
@blp.problems(PreconditionFailed, FileDamaged, RangeNotSatisfiable, StorageUnavailable)
@blp.doc(parameters=CONDITIONS)
@blp.alt_response(206, **CONTENT, description="A part of it", headers=VALIDATORS | CONTENT_RANGE)
@blp.alt_response(302, description="Download it from there", headers=LOCATION)
@blp.alt_response(304, description="Not changed since the answer with this ETag", headers=VALIDATORS)
@blp.response(200, CONTENT["schema"], content_type="*/*", headers=VALIDATORS)
def download_file(file_id: UUID) -> Response:
    """Download a file, or a part of it

    Each MiB is compared with what was uploaded before it is sent. What is found damaged only later
    ends the connection before the announced length is reached.
    """
    return send_content(service.get_file_to_read(actor=current_actor(), file_id=file_id))


@blp.route("/files/<uuid:file_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(FileForbidden)
@blp.response(204)
def delete_file(file_id: UUID, *, condition: Precondition) -> None:
    """Delete a file for good"""
    with transaction():
        service.delete_file(actor=current_actor(), file_id=file_id, condition=condition)
