"""Receives a form with files (multipart/form-data, RFC 7578), each straight into a file of its own."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain

from flask import Request
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from taskapi.core.errors import ContentTooLarge, DomainError, UnsupportedMediaType, ValidationFailed
from taskapi.core.incoming import PIECE_BYTES, Content, IncomingFile, Limits, incoming_file, pieces
from taskapi.core.schemas import unknown_field_message

# RFC 2046, 5.1.1 allows 70; there are programs that now and then send a few more.
LONGEST_BOUNDARY = 200
# What a form may hold besides files: fields, headers and boundaries.
FORM_BYTES = 65_536
FIELD_BYTES = 8_192
# Blanks may follow a boundary (RFC 2046, 5.1.1); nobody sends more.
PADDING_BYTES = 64
# Of a piece that arrived, what was left of those before it, and headers.
BUFFER_BYTES = 2 * PIECE_BYTES


class Decoder(MultipartDecoder):
    """Werkzeug's, which takes the CR before a boundary for content when a piece ends just behind it."""

    def __init__(self, boundary: bytes, max_form_memory_size: int, *, max_parts: int) -> None:
        super().__init__(boundary, max_form_memory_size, max_parts=max_parts)
        delimiter = b"--" + boundary
        beginnings = b"|".join(re.escape(delimiter[:end]) for end in range(len(delimiter), -1, -1))
        padded = rb"%s-{0,2}[^\S\r\n]*\r?" % re.escape(delimiter)
        self._may_become_boundary = re.compile(rb"(?:\r\n?|\n)(?:%s|%s)\Z" % (padded, beginnings))
        self._longest = len(delimiter) + 2 + PADDING_BYTES

    def _last_partial_boundary_index(self, data: bytes | bytearray) -> int:
        match = self._may_become_boundary.search(data, max(0, len(data) - self._longest))
        return match.start() if match else len(data)


class MalformedForm(DomainError):
    """The body is no proper form: a boundary is missing, or the form ends in the middle of a part."""

    code = "malformed_form"
    title = "Malformed form"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRules:
    """What a form may hold.

    Attributes:
        file: the name of the parts that are files.
        max_files: how many of them may come; one must.
        skips_large: whether a file that is too large is left out and the others are taken.
        fields: names of the other fields, each of which may come once.
        field_bytes: how long each of them may be.
    """

    file: str = "file"
    max_files: int = 1
    skips_large: bool = False
    fields: tuple[str, ...] = ()
    field_bytes: int = FIELD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file of a form; the name is as the client sent it."""

    filename: str
    content: Content


@dataclass(slots=True, kw_only=True)
class Form:
    """What a form held, its files in the order in which they came.

    Attributes:
        too_large: the names of files that were left out, by their places among all.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: list[FilePart] = field(default_factory=list)
    too_large: dict[int, str] = field(default_factory=dict)

    @property
    def places(self) -> int:
        """How many files have come so far."""
        return len(self.files) + len(self.too_large)


@contextmanager
def receive_form(req: Request, *, rules: FormRules, limits: Limits) -> Iterator[Form]:
    """Receive a form; its files are gone after the block, unless somebody moved them.

    Raises:
        UnsupportedMediaType: the body is no form with files.
        MalformedForm
        ValidationFailed: a part is unknown, or comes too often, or the file is missing.
        ContentTooLarge, UploadTooSlow
    """
    with ExitStack() as stack:
        reader = _FormReader(rules, limits, stack)
        for event in _events(req, rules, limits):
            reader.take(event)
        if not reader.form.places:
            raise ValidationFailed({rules.file: ["Missing data for required field."]})
        yield reader.form


def _events(req: Request, rules: FormRules, limits: Limits) -> Iterator[Event]:
    limit = rules.max_files * limits.max_size + max(FORM_BYTES, rules.field_bytes + FIELD_BYTES)
    decoder = Decoder(_boundary(req), BUFFER_BYTES, max_parts=rules.max_files + len(rules.fields) + 1)
    for piece in chain(pieces(req, limit=limit, limits=limits), (None,)):
        try:
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), (NeedData, Epilogue)):
                yield event
        except ValueError as error:
            raise MalformedForm("The form is not complete, or not separated by its boundary.") from error


def _boundary(req: Request) -> bytes:
    if req.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the body as multipart/form-data.")
    boundary = req.mimetype_params.get("boundary", "")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise MalformedForm("The Content-Type names no boundary.")
    return boundary.encode()


class _FormReader:
    """Puts each part where it belongs, as soon as it begins."""

    def __init__(self, rules: FormRules, limits: Limits, stack: ExitStack) -> None:
        self.form = Form()
        self._rules, self._limits, self._stack = rules, limits, stack
        self._part: File | Field | None = None
        self._file: IncomingFile | None = None
        self._value = bytearray()
        self._is_too_large = False

    def take(self, event: Event) -> None:
        if isinstance(event, (File, Field)):
            self._begin(event)
        elif isinstance(event, Data):
            self._add(event.data)
            if not event.more_data:
                self._end()

    def _begin(self, part: File | Field) -> None:
        if message := self._objection(part):
            raise ValidationFailed({part.name or "body": [message]})
        self._part, self._value, self._is_too_large = part, bytearray(), False
        is_file = isinstance(part, File)
        self._file = self._stack.enter_context(incoming_file(self._limits)) if is_file else None

    def _objection(self, part: File | Field) -> str | None:
        """Why a part is refused, before any of it is kept."""
        rules, name, is_file = self._rules, part.name or "", isinstance(part, File)
        known = [rules.file, *rules.fields]
        if name not in known:
            return unknown_field_message(name, known)
        if is_file != (name == rules.file):
            return "This is no file." if is_file else "Send it as a file, with a filename."
        if is_file:
            return None if self.form.places < rules.max_files else "Send no more files."
        return "Send it once." if name in self.form.fields else None

    def _add(self, data: bytes) -> None:
        if self._file is not None:
            return self._write(self._file, data)
        self._value += data
        if len(self._value) > self._rules.field_bytes:
            raise ContentTooLarge(f"A field of a form has at most {self._rules.field_bytes} bytes.")
        return None

    def _write(self, file: IncomingFile, data: bytes) -> None:
        try:
            if not self._is_too_large:
                file.write(data)
        except ContentTooLarge:
            if not self._rules.skips_large:
                raise
            self._is_too_large = True

    def _end(self) -> None:
        if isinstance(self._part, File) and self._is_too_large:
            self.form.too_large[self.form.places] = self._part.filename
        elif isinstance(self._part, File) and self._file is not None:
            self.form.files.append(FilePart(filename=self._part.filename, content=self._file.finish()))
        elif self._part is not None:
            self.form.fields[self._part.name] = self._value.decode(errors="replace")
