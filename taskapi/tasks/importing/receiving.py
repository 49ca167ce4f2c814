"""Receives tables of tasks, before a transaction is open, and refuses at once what is none."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import request

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.local import disk_errors
from taskapi.core.errors import MalformedJson, ValidationFailed
from taskapi.core.incoming import Limits
from taskapi.core.json import load_strict
from taskapi.core.multipart import FormRules, receive_form
from taskapi.core.runtime import runtime_settings
from taskapi.files.uploading import Upload, checked_name, in_store
from taskapi.tasks.importing.columns import find_columns
from taskapi.tasks.importing.errors import ImportTooLarge
from taskapi.tasks.importing.reading import HEAD_BYTES, check_head, dialect_of_head, header_of

MAX_PEOPLE_BYTES = 262_144
RULES = FormRules(file="file", fields=("people",), field_bytes=MAX_PEOPLE_BYTES)
NO_PEOPLE = 'Send a JSON object such as {"17": "olivia@example.org"}.'


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedTable:
    """A table that lies in the store and is not yet an import."""

    upload: Upload
    people: dict[str, str]
    dry_run: bool

    @property
    def fingerprint(self) -> bytes:
        told = json.dumps(self.people, sort_keys=True).encode()
        return self.upload.fingerprint + b"/" + told


@contextmanager
def table_of_form(*, dry_run: bool) -> Iterator[ReceivedTable]:
    """The table of a form, in the store.

    Raises:
        InvalidImport, ImportTooLarge, ValidationFailed, and what receiving a form raises
    """
    limits = Limits(
        directory=current_storage().incoming,
        max_size=runtime_settings().max_import_size,
        too_large=ImportTooLarge,
    )
    with ExitStack() as stack:
        with disk_errors():
            form = stack.enter_context(receive_form(request, rules=RULES, limits=limits))
        file = form.files[0]
        filename = checked_name(file.filename, name_of_field="file")
        people = _people(form.fields.get("people", "{}"))
        _check_beginning(file.content.path)
        stored = in_store(content=file.content, filename=filename, content_type="text/csv")
        yield ReceivedTable(upload=stack.enter_context(stored), people=people, dry_run=dry_run)


def _check_beginning(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    check_head(head)
    find_columns(header_of(head, dialect_of_head(head)))


def _people(text: str) -> dict[str, str]:
    try:
        told: Any = load_strict(text.encode())
    except MalformedJson as error:
        raise ValidationFailed({"people": [NO_PEOPLE]}) from error
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
        raise ValidationFailed({"people": [NO_PEOPLE]})
    return {old.strip(): name.strip() for old, name in told.items()}
