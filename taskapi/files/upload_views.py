"""Endpoints of uploads: received before the view, which makes a file of what arrived."""

from typing import Any

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.multipart import MalformedForm
from taskapi.core.receiving import receives
from taskapi.core.runtime import runtime_settings
from taskapi.files import uploading
from taskapi.files.describing import UPLOAD_PROBLEMS
from taskapi.files.models import StoredFile
from taskapi.files.receiving import from_body, from_form
from taskapi.files.schemas import SHA256_PATTERN, FileSchema, RawUploadQuery
from taskapi.files.uploading import Upload

blp = Blueprint("uploads", __name__, url_prefix="/api", description="Files: uploads")

FORM = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "With a filename"},
        "sha256": {
            "type": "string",
            "pattern": SHA256_PATTERN,
            "description": "Of the content, in hexadecimal digits: another one is refused, and nothing kept",
        },
    },
}


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema}}}


@blp.route("/files", methods=["POST"])
@blp.requires("write")
@receives(from_form)
@blp.doc(requestBody=_body("multipart/form-data", FORM))
@blp.problems(MalformedForm, *UPLOAD_PROBLEMS)
@blp.response(201, FileSchema)
def upload_file(received: Upload) -> StoredFile:
    """Upload a file by a form"""
    with transaction():
        return uploading.create_file(actor=current_actor(), upload=received, settings=runtime_settings())


@blp.route("/files/raw", methods=["POST"])
@blp.requires("write")
@receives(from_body, query=RawUploadQuery)
@blp.doc(requestBody=_body("application/octet-stream", {"type": "string", "format": "binary"}))
@blp.problems(*UPLOAD_PROBLEMS)
@blp.response(201, FileSchema, location="/api/files/{0.id}")
def upload_content(received: Upload) -> StoredFile:
    """Upload a file whose content is the body, of any media type"""
    with transaction():
        return uploading.create_file(actor=current_actor(), upload=received, settings=runtime_settings())
