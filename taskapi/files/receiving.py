"""Receives uploads, before a transaction is open: from a form, or as the body itself."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from flask import request
from marshmallow import ValidationError

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.local import disk_errors
from taskapi.core.access import current_actor
from taskapi.core.db import session
from taskapi.core.errors import DomainError, ValidationFailed
from taskapi.core.idempotency import HEADER
from taskapi.core.incoming import Content, Limits, incoming_file, receive_raw
from taskapi.core.multipart import FORM_BYTES, FilePart, FormRules, receive_form
from taskapi.core.runtime import runtime_settings
from taskapi.core.schemas import flatten_messages
from taskapi.files import usage
from taskapi.files.errors import FileTooLarge, FileTypeNotAllowed, QuotaExceeded
from taskapi.files.schemas import UploadFieldsSchema
from taskapi.files.types import AllowedTypes
from taskapi.files.uploading import Upload, checked_name, stored

RULES = FormRules(file="file", fields=("sha256",))
MAX_FILES = 20
SEVERAL = FormRules(file="file", max_files=MAX_FILES, skips_large=True)
# What is wrong with one file and leaves the others alone.
REFUSALS = (FileTooLarge, FileTypeNotAllowed, QuotaExceeded, ValidationFailed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several files of a form: in the store, or refused."""

    filename: str
    upload: Upload | None = None
    refusal: DomainError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The files of a form, in the order in which they came."""

    parts: Sequence[Part]

    @property
    def fingerprint(self) -> bytes:
        found = ((part.filename, part.upload.content.sha256 if part.upload else "") for part in self.parts)
        return repr(list(found)).encode()


@contextmanager
def from_form() -> Iterator[Upload]:
    """The file of a form, in the store."""
    limits = _limits()
    _check_room(limits, beside=FORM_BYTES)
    with ExitStack() as stack:
        with disk_errors():
            form = stack.enter_context(receive_form(request, rules=RULES, limits=limits))
        filename = checked_name(form.files[0].filename, name_of_field="file")
        sha256 = _claimed_hash(form.fields)
        yield stack.enter_context(_stored(form.files[0].content, filename=filename, sha256=sha256))


@contextmanager
def several_from_form() -> Iterator[Parts]:
    """The files of a form, those in the store against which nothing speaks."""
    limits = _limits()
    with ExitStack() as stack:
        with disk_errors():
            form = stack.enter_context(receive_form(request, rules=SEVERAL, limits=limits))
        arrived = iter(form.files)
        yield Parts(
            parts=[
                Part(filename=form.too_large[place], refusal=limits.refusal())
                if place in form.too_large
                else _part(stack, next(arrived))
                for place in range(form.places)
            ]
        )


def _part(stack: ExitStack, file: FilePart) -> Part:
    try:
        filename = checked_name(file.filename, name_of_field="file")
        upload = stack.enter_context(_stored(file.content, filename=filename, sha256=None))
    except REFUSALS as refusal:
        return Part(filename=file.filename, refusal=refusal)
    return Part(filename=filename, upload=upload)


@contextmanager
def from_body(*, filename: str, sha256: str | None = None) -> Iterator[Upload]:
    """The body, in the store."""
    name = checked_name(filename, name_of_field="filename")
    limits = _limits()
    _check_room(limits, beside=0)
    with ExitStack() as stack:
        with disk_errors():
            file = stack.enter_context(incoming_file(limits))
            content = receive_raw(request, file, limits)
        yield stack.enter_context(_stored(content, filename=name, sha256=sha256))


def _stored(content: Content, *, filename: str, sha256: str | None) -> AbstractContextManager[Upload]:
    return stored(
        content=content,
        filename=filename,
        sha256=sha256,
        owner_id=current_actor().user_id,
        quota=_quota(),
        allowed=AllowedTypes.of(runtime_settings().allowed_file_types),
    )


def _limits() -> Limits:
    return Limits(
        directory=current_storage().incoming,
        max_size=runtime_settings().max_file_size,
        too_large=FileTooLarge,
    )


def _check_room(limits: Limits, *, beside: int) -> None:
    """Refuse at once what cannot fit, if the client says how much comes, of which so much is no content."""
    size = max(0, (request.content_length or 0) - beside)
    if size > limits.max_size:
        raise limits.refusal()
    usage.check_room(owner_id=current_actor().user_id, size=size, quota=_quota())
    # A slow client must not hold the connection while its content arrives.
    session().rollback()


def _quota() -> int:
    """What to compare with before the transaction does; nothing if the request may be a repetition.

    That one is answered as it was before, though another file would not fit any more.
    """
    return 0 if HEADER in request.headers else runtime_settings().file_quota


def _claimed_hash(fields: dict[str, str]) -> str | None:
    try:
        claimed: str | None = UploadFieldsSchema().load(fields).get("sha256")
    except ValidationError as error:
        raise ValidationFailed(flatten_messages(error.messages)) from error
    return claimed
