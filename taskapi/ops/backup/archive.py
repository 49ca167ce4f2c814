"""The archive: a tar file with the dump, then the objects, then what must have been in it.

Its last member is ``SHA256SUMS``, a line for each member before it, as ``sha256sum --check`` reads
them: an archive that was cut short has none, and no byte of a member can change unnoticed. Members
are written and read one after the other, a MiB at a time, however many there are.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

from taskapi.core import clock
from taskapi.ops.backup.errors import ArchiveDamaged, disk_errors

HEADER, MANIFEST, SUMS = "taskapi-backup.json", "manifest.json", "SHA256SUMS"
OBJECTS = "objects/"
BLOCK_BYTES = 1_048_576


class Source(Protocol):
    """Bytes, from where it stands on."""

    def read(self, size: int, /) -> bytes: ...


class ExactSource:
    """Exactly ``size`` bytes of a source, with their hash: what is short is filled up, what is long is cut.

    A member of a tar file says first how long it is.
    """

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._left = source, size
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; all that are left when no size is given."""
        wanted = self._left if size < 0 else min(size, self._left)
        pieces: list[bytes] = []
        missing = wanted
        while missing and (piece := self._source.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        found = b"".join([*pieces, bytes(missing)])
        self._left -= wanted
        self._digest.update(found)
        return found


class Output:
    """Counts what is written, as tar asks where it stands and a pipe cannot say."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out, self._written = out, 0

    def write(self, data: bytes, /) -> int:
        self._out.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written


class ArchiveWriter:
    """Writes members one after the other."""

    def __init__(self, out: IO[bytes], sums: IO[bytes]) -> None:
        self._sums, self._out = sums, Output(out)
        # One that is not closed has no end, which is right for an archive that is not whole.
        self._tar = tarfile.TarFile(
            mode="w",
            fileobj=self._out,  # type: ignore[arg-type]
            format=tarfile.PAX_FORMAT,
            copybufsize=BLOCK_BYTES,
        )

    def add(self, name: str, size: int, source: Source) -> str:
        """Add a member of so many bytes; their SHA-256."""
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(clock.now().timestamp())
        exact = ExactSource(source, size)
        self._tar.addfile(info, exact)
        # It would keep a note of each object.
        self._tar.members.clear()  # type: ignore[attr-defined]
        self._sums.write(f"{exact.sha256}  {name}\n".encode())
        return exact.sha256

    def add_bytes(self, name: str, content: bytes) -> None:
        self.add(name, len(content), BytesIO(content))

    def finish(self) -> int:
        """Write the last member and the end; the bytes of all together."""
        size = self._sums.tell()
        self._sums.seek(0)
        self.add(SUMS, size, self._sums)
        self._tar.close()
        return self._out.tell()


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive that is being read; its content can be read once."""

    name: str
    size: int
    content: ExactSource


def read_members(path: Path) -> Iterator[Member]:
    """Each member but the last, whose sums are compared at the end; what nobody read is read then.

    Raises:
        ArchiveDamaged: here, and while a content is read.
        BackupError: the file cannot be read.
    """
    with (
        disk_errors(path),
        path.open("rb") as file,
        TemporaryFile() as sums,
        _damage(),
        tarfile.open(fileobj=file, mode="r|", bufsize=BLOCK_BYTES) as tar,
    ):
        for member in _members(tar):
            if member.name == SUMS:
                _compare(member, sums)
                return
            yield member
            while member.content.read(BLOCK_BYTES):
                pass
            sums.write(f"{member.content.sha256}  {member.name}\n".encode())
    raise ArchiveDamaged(f"{path} was cut short: its end is missing")


class GuardedSource:
    """A member's bytes; what breaks off while they are read is damage."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        with _damage():
            return self._source.read(size)


def _members(tar: tarfile.TarFile) -> Iterator[Member]:
    for info in tar:
        tar.members.clear()  # type: ignore[attr-defined]
        # A link leads elsewhere, a sparse file may be endless, and names are shown on terminals.
        is_plain = info.isreg() and not info.issparse() and info.name.isprintable()
        content = tar.extractfile(info) if is_plain else None
        if content is None:
            raise ArchiveDamaged(f"{info.name!r} is no plain file")
        yield Member(info.name, info.size, ExactSource(GuardedSource(content), info.size))


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    # tarfile reads numbers of its headers without looking at them first.
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise ArchiveDamaged(f"the archive cannot be read: {error}") from error


def _compare(member: Member, found: IO[bytes]) -> None:
    with TemporaryFile() as written:
        while piece := member.content.read(BLOCK_BYTES):
            written.write(piece)
        for lines in (written, found):
            lines.seek(0)
        for line, own in zip_longest(written, found, fillvalue=b""):
            if line != own:
                raise ArchiveDamaged(f"{_name_in(own or line)} is not what was written once")


def _name_in(line: bytes) -> str:
    return line.decode(errors="replace").rpartition("  ")[2].strip()
