"""Receives contents of any size into files: counted, hashed and looked at while they arrive.

Nothing is held in memory but a piece at a time, and no connection to the database.
"""

import codecs
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from taskapi.core.errors import ContentTooLarge, DomainError

BLOCK_BYTES = 1_048_576
PIECE_BYTES = 65_536
# A body may take so long, and for each second more it must have brought so much.
PATIENCE_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 8_192


class UploadTooSlow(DomainError):
    """The content arrived too slowly or broke off; nothing was kept."""

    status = 408
    code = "upload_too_slow"
    title = "Upload too slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where contents are gathered, and how large each may be.

    Attributes:
        directory: must be there.
        max_size: bytes.
        too_large: what is raised for more.
    """

    directory: Path
    max_size: int
    too_large: type[ContentTooLarge] = ContentTooLarge

    def refusal(self) -> ContentTooLarge:
        return self.too_large(f"At most {self.max_size} bytes are taken.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What has arrived, in a file.

    Attributes:
        sha256: in hexadecimal digits.
        blocks: SHA-256 of each MiB, 32 bytes each.
        is_text: whether all of it is UTF-8 without a NUL.
    """

    path: Path
    size: int
    sha256: str
    blocks: bytes
    is_text: bool


class IncomingFile:
    """Takes a content piece by piece."""

    def __init__(self, file: BinaryIO, path: Path, limits: Limits) -> None:
        self._file, self._path, self._limits = file, path, limits
        self._size = 0
        self._whole, self._block = hashlib.sha256(), hashlib.sha256()
        self._blocks = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_text = True

    def write(self, piece: bytes) -> None:
        """Add what arrived next.

        Raises:
            ContentTooLarge: it is more than is allowed.
            OSError: the disk does not take it.
        """
        if self._size + len(piece) > self._limits.max_size:
            raise self._limits.refusal()
        self._file.write(piece)
        self._whole.update(piece)
        self._hash_blocks(memoryview(piece))
        self._is_text = self._is_text and self._goes_on_as_text(piece)

    def finish(self) -> Content:
        """Everything has arrived."""
        self._file.close()
        if self._size % BLOCK_BYTES:
            self._blocks += self._block.digest()
        return Content(
            path=self._path,
            size=self._size,
            sha256=self._whole.hexdigest(),
            blocks=bytes(self._blocks),
            is_text=self._is_text and self._goes_on_as_text(b"", final=True),
        )

    def _hash_blocks(self, rest: memoryview) -> None:
        while rest:
            part = rest[: BLOCK_BYTES - self._size % BLOCK_BYTES]
            self._block.update(part)
            self._size += len(part)
            rest = rest[len(part) :]
            if self._size % BLOCK_BYTES == 0:
                self._blocks += self._block.digest()
                self._block = hashlib.sha256()

    def _goes_on_as_text(self, piece: bytes, *, final: bool = False) -> bool:
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            return False
        return b"\0" not in piece


@contextmanager
def incoming_file(limits: Limits) -> Iterator[IncomingFile]:
    """A new file that a content is written into; it is gone after the block, unless somebody moved it."""
    descriptor, name = tempfile.mkstemp(prefix="upload-", dir=limits.directory)
    path = Path(name)
    try:
        with open(descriptor, "wb") as file:
            yield IncomingFile(file, path, limits)
    finally:
        path.unlink(missing_ok=True)


def receive_raw(req: Request, file: IncomingFile, limits: Limits) -> Content:
    """Write the whole body into a file.

    Raises:
        ContentTooLarge, UploadTooSlow
    """
    for piece in pieces(req, limit=limits.max_size, limits=limits):
        file.write(piece)
    return file.finish()


def pieces(req: Request, *, limit: int, limits: Limits) -> Iterator[bytes]:
    """The body as it arrives, all of it.

    Args:
        limit: bytes of the body, which may hold more than a content.

    Raises:
        ContentTooLarge: it is longer than ``limit``; at once, if it says so beforehand.
        UploadTooSlow: it is too slow, or shorter than it said.
    """
    announced = req.content_length
    if announced is not None and announced > limit:
        raise limits.refusal()
    # Without a limit of Werkzeug's own, which would cut a body of unknown length in silence.
    stream = get_input_stream(req.environ)
    started, received = time.monotonic(), 0
    while piece := _read(stream):
        received += len(piece)
        if received > limit:
            raise limits.refusal()
        if time.monotonic() - started > seconds_allowed(received):
            raise UploadTooSlow(f"Send at least {SLOWEST_BYTES_PER_SECOND} bytes a second.")
        yield piece
    if announced is not None and received < announced:
        raise UploadTooSlow(f"The content broke off after {received} of {announced} bytes.")


def seconds_allowed(received: int) -> float:
    """How long a body may have taken that has brought so many bytes."""
    return PATIENCE_SECONDS + received / SLOWEST_BYTES_PER_SECOND


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(PIECE_BYTES)
    except (ClientDisconnected, OSError) as error:
        raise UploadTooSlow("The content broke off.") from error
