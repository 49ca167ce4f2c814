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
from taskapi.files.errors import FileDamaged, RangeNotSatisfiable
from taskapi.files.models import StoredFile
from taskapi.files.schemas import FileQuery, FileSchema
from taskapi.files.sending import send_content

blp = Blueprint("files", __name__, url_prefix="/api", description="Files")

TEXT = {"type": "string"}
CONTENT = {"schema": {**TEXT, "format": "binary"}, "content_type": "*/*"}
VALIDATORS = {
    "ETag": {"description": "The SHA-256 of the whole content", "schema": TEXT},
    "Last-Modified": {"description": "When it was uploaded", "schema": TEXT},
}
CONTENT_RANGE = {"Content-Range": {"description": "Which bytes of how many", "schema": TEXT}}
LOCATION = {"Location": {"description": "Valid for five minutes", "schema": {**TEXT, "format": "uri"}}}
CONDITIONS = [
    {"in": "header", "name": name, "description": words, "schema": TEXT}
    for name, words in {
        "Range": "One range of bytes, such as `bytes=0-1023`, `bytes=1024-` or `bytes=-1024`; several are"
        " answered with the whole content",
        "If-Range": "An ETag or Last-Modified: the range counts only if it is still right",
        "If-Match": "ETags: 412 unless one of them is right",
        "If-None-Match": "ETags: 304 if one of them is right",
    }.items()
]


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
@blp.response(204)
def delete_file(file_id: UUID, *, condition: Precondition) -> None:
    """Delete a file for good"""
    with transaction():
        service.delete_file(actor=current_actor(), file_id=file_id, condition=condition)
