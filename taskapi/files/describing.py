"""Words for the OpenAPI document that uploads and downloads share, wherever their paths are."""

from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.core.incoming import UploadTooSlow
from taskapi.files.errors import FileTooLarge, FileTypeNotAllowed, HashMismatch, QuotaExceeded

UPLOAD_PROBLEMS = (
    *(UploadTooSlow, FileTooLarge, FileTypeNotAllowed, HashMismatch),
    *(QuotaExceeded, StorageFull, StorageUnavailable),
)

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
