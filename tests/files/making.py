"""Short ways to have files in tests."""

import hashlib
import secrets
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.core.db import session, transaction
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files import objects, usage
from taskapi.files.models import FileUsage, StoredFile
from tests.people import Person

CONTENT = b"What was uploaded is what comes back.\n"


def app_of(person: Person) -> Flask:
    return person.client.application


def store(person: Person, content: bytes = CONTENT, **columns: Any) -> UUID:
    """Have a file of this content, which need not pass the rules of an upload; its id."""
    blocks = [content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES)]
    with app_of(person).app_context():
        key, storage = objects.announce_object(), current_storage()
        source = storage.incoming / secrets.token_hex(8)
        source.write_bytes(content)
        storage.put(key, source)
        values: dict[str, Any] = {"filename": "notes.txt", "content_type": "text/plain", **columns}
        with transaction():
            usage.add_file(owner_id=person.id, size=len(content), quota=0)
            objects.keep_object(key)
            file = StoredFile(
                owner_id=person.id,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                blocks=b"".join(hashlib.sha256(block).digest() for block in blocks),
                storage_key=key,
                **values,
            )
            session().add(file)
            session().flush()
            return file.id


def row_of(app: Flask, file_id: UUID) -> StoredFile | None:
    with app.app_context():
        return session().get(StoredFile, file_id)


def key_of(app: Flask, file_id: UUID) -> str:
    file = row_of(app, file_id)
    assert file is not None
    return file.storage_key


def used(app: Flask, person: Person) -> tuple[int, int]:
    """Bytes and files that are counted as a person's."""
    with app.app_context():
        counted = sa.select(FileUsage.bytes, FileUsage.files).where(FileUsage.owner_id == person.id)
        row = session().execute(counted).one_or_none()
        return (row[0], row[1]) if row else (0, 0)


def replace_object(app: Flask, file_id: UUID, content: bytes | None) -> None:
    """Put something else into the store behind the application's back, or nothing at all."""
    key = key_of(app, file_id)
    with app.app_context():
        storage = current_storage()
        storage.delete(key)
        if content is not None:
            source = storage.incoming / secrets.token_hex(8)
            source.write_bytes(content)
            storage.put(key, source)
