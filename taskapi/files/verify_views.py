"""The endpoint that reads a file's stored content and compares it with what was uploaded."""

from uuid import UUID

from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.files import integrity
from taskapi.files.integrity import Verdict
from taskapi.files.schemas import VerdictSchema

blp = Blueprint("verification", __name__, url_prefix="/api", description="Whether files are as they were")


@blp.route("/files/<uuid:file_id>/verify", methods=["POST"])
@blp.requires("write")
@blp.problems(StorageUnavailable)
@blp.response(200, VerdictSchema)
def verify_file(file_id: UUID) -> Verdict:
    """Read what is stored of a file, and note whether it is what was uploaded"""
    return integrity.verify_file(actor=current_actor(), file_id=file_id)
