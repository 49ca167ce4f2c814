"""A file's content as an answer: conditions, ranges and headers (RFC 9110, RFC 6266)."""

import re
import unicodedata
from datetime import datetime
from functools import partial
from urllib.parse import quote
from uuid import UUID

from flask import Flask, Response, current_app, request
from werkzeug.http import http_date, parse_date, quote_etag

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import Storage
from taskapi.core.errors import PreconditionFailed
from taskapi.core.folding import normalized
from taskapi.files import integrity
from taskapi.files.models import StoredFile
from taskapi.files.ranges import Part, requested_part
from taskapi.files.reading import CheckedContent

SIGNED_URL_SECONDS = 300
# Even a browser that is made to show it runs nothing of it and loads nothing for it.
POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
# What may stand unescaped in an extended value, beside letters and digits (RFC 8187, 3.2.1).
PLAIN_IN_EXTENDED = "!#$&+-.^_`|~"
# Quotes and backslashes are read in many ways, percent signs as escapes, slashes as folders (RFC 6266, D).
TROUBLESOME = re.compile(r'[^ -~]|["%/\\]')


def send_content(file: StoredFile) -> Response:
    """The answer to a GET or HEAD of a file's content.

    Args:
        file: with its blocks; it is not in a session any more.

    Raises:
        FileDamaged, PreconditionFailed, RangeNotSatisfiable, StorageUnavailable
    """
    storage = current_storage()
    # A URL is signed for one method, so that a HEAD could not follow it.
    signed = _signed_url(storage, file) if request.method == "GET" else None
    if signed is not None:
        return Response(status=302, headers={"Location": signed, "Cache-Control": "no-store"})
    validators = {"ETag": quote_etag(file.sha256), "Last-Modified": http_date(_modified_at(file))}
    if _is_unchanged(file):
        return Response(status=304, headers=validators)
    part = _wanted_part(file)
    response = _stream(storage, file, part or Part(0, file.size))
    response.headers.update(validators)
    if part is not None:
        response.status_code = 206
        response.headers["Content-Range"] = part.content_range(file.size)
    return response


def disposition(filename: str) -> str:
    """``Content-Disposition`` that saves a file under its name, whatever letters that has (RFC 6266)."""
    letters = normalized("NFKD", filename)
    simple = TROUBLESOME.sub("_", "".join(letter for letter in letters if not unicodedata.combining(letter)))
    if simple == filename:
        return f'attachment; filename="{simple}"'
    extended = quote(filename, safe=PLAIN_IN_EXTENDED)
    return f"attachment; filename=\"{simple}\"; filename*=UTF-8''{extended}"


def _signed_url(storage: Storage, file: StoredFile) -> str | None:
    return storage.presign(
        file.storage_key,
        seconds=SIGNED_URL_SECONDS,
        content_type=_content_type(file),
        disposition=disposition(file.filename),
    )


def _content_type(file: StoredFile) -> str:
    # Text was taken in as UTF-8 alone.
    return (
        f"{file.content_type}; charset=utf-8" if file.content_type.startswith("text/") else file.content_type
    )


def _modified_at(file: StoredFile) -> datetime:
    return file.created_at.replace(microsecond=0)


def _is_unchanged(file: StoredFile) -> bool:
    """Whether the client has the content already, by the conditions that it sent (RFC 9110, 13.2.2).

    Raises:
        PreconditionFailed: it wants another content than there is.
    """
    modified_at = _modified_at(file)
    if "If-Match" in request.headers:
        is_wanted = request.if_match.contains(file.sha256)
    else:
        is_wanted = request.if_unmodified_since is None or modified_at <= request.if_unmodified_since
    if not is_wanted:
        raise PreconditionFailed("The file has another content.")
    if "If-None-Match" in request.headers:
        return request.if_none_match.contains_weak(file.sha256)
    return request.if_modified_since is not None and modified_at <= request.if_modified_since


def _wanted_part(file: StoredFile) -> Part | None:
    # For other methods a range has no meaning (RFC 9110, 14.2).
    if request.method != "GET":
        return None
    condition = request.headers.get("If-Range", "").strip()
    # A weak tag is not equal either (13.1.5).
    if condition and condition != quote_etag(file.sha256) and parse_date(condition) != _modified_at(file):
        return None
    return requested_part(request.headers.get("Range"), file.size)


def _stream(storage: Storage, file: StoredFile, part: Part) -> Response:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    content = CheckedContent(storage, file, part, report=partial(_report, app, file.id))
    # Werkzeug closes the content with the answer, also when the client goes.
    response = Response(content, content_type=_content_type(file))
    response.content_length = part.length
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Content-Disposition"] = disposition(file.filename)
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _report(app: Flask, file_id: UUID, damage: str) -> None:
    # When a later block is read, the request's own context is over.
    with app.app_context():
        integrity.report_damage(file_id=file_id, damage=damage)
