"""Short ways to upload in tests, and to see that nothing is left behind."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.core.db import session
from taskapi.files.models import DiscardedObject, FileUsage, StoredFile
from tests.people import Person

if TYPE_CHECKING:
    from tests.people import Answer

TEXT = b"Milk, tea and bread.\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452000000010000000108060000001f15c489")
BOUNDARY = "----a-boundary"


def upload(
    person: Person, content: bytes = TEXT, filename: str = "list.txt", *, form: Any = None, **options: Any
) -> "Answer":
    """By a form."""
    fields = [part(f'name="{name}"', value.encode()) for name, value in (form or {}).items()]
    return post_form(
        person, b"".join([part(f'name="file"; filename="{filename}"', content), *fields, END]), **options
    )


def upload_raw(
    person: Person, content: bytes = TEXT, filename: str = "list.txt", *, query: Any = None, **options: Any
) -> "Answer":
    """As the body."""
    asked = {"filename": filename, **(query or {})}
    return send(person, "/api/files/raw", content, query_string=asked, **options)


def post_form(person: Person, body: bytes, **options: Any) -> "Answer":
    """A form written by hand."""
    kind = options.pop("content_type", f"multipart/form-data; boundary={BOUNDARY}")
    return send(person, "/api/files", body, content_type=kind, **options)


def send(
    person: Person,
    path: str,
    body: bytes,
    *,
    stream: Any = None,
    announced: int | None = None,
    **options: Any,
) -> "Answer":
    """A body as it is; the test client would write an empty one, and leave open the file of a large one.

    Args:
        stream: what the body is read from.
        announced: the length that the client tells, if it is another one.
    """
    environ = options.pop("environ_overrides", {})
    if announced is not None:
        environ = {**environ, "CONTENT_LENGTH": str(announced)}
    return person.post(path, input_stream=stream or io.BytesIO(body), environ_overrides=environ, **options)


def part(disposition: str, content: bytes = TEXT) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def zipped(*names: str, **options: Any) -> bytes:
    """An archive of small files with these names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            # Of no time: a content that is a test's parameter must be the same in each process.
            archive.writestr(zipfile.ZipInfo(name), b"x", **options)
    return buffer.getvalue()


def download(person: Person, file: dict[str, Any]) -> bytes:
    content: bytes = person.get(f"/api/files/{file['id']}/content").data
    return content


def incoming_files(app: Flask) -> list[Path]:
    """What lies where contents are gathered."""
    with app.app_context():
        return list(current_storage().incoming.iterdir())


def objects_left(app: Flask) -> set[str]:
    """Keys of objects in the store that are neither a file's nor due to be removed."""
    with app.app_context():
        kept = set(session().scalars(sa.select(StoredFile.storage_key)))
        due = set(session().scalars(sa.select(DiscardedObject.storage_key)))
        return {found.key for found in current_storage().walk()} - kept - due


def counted(app: Flask) -> tuple[int, int, int]:
    """How many files there are, how many rows announce an object, how many bytes are counted."""
    with app.app_context():
        return (
            session().scalar(sa.select(sa.func.count()).select_from(StoredFile)) or 0,
            session().scalar(sa.select(sa.func.count()).select_from(DiscardedObject)) or 0,
            int(session().scalar(sa.select(sa.func.sum(FileUsage.bytes))) or 0),
        )


def assert_nothing_kept(app: Flask) -> None:
    """No file, no half of one; an object that was stored is due to be removed."""
    files, _announced, size = counted(app)
    assert (files, size) == (0, 0)
    assert incoming_files(app) == []
    assert objects_left(app) == set()
