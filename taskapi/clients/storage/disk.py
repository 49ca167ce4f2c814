"""Objects as files of a directory, in two levels of folders: ``ab/cd/abcd…``."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile

from taskapi.clients.storage.base import ObjectMissing, Reader, StorageUnavailable, StoredObject
from taskapi.clients.storage.local import NO_ROOM, Incoming, disk_errors, log

KEY = re.compile(r"[0-9a-f]{32}")
FOLDER = re.compile(r"[0-9a-f]{2}")
# A bad sector, or what a file system that keeps checksums says of one.
UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})


def checked_key(key: str) -> str:
    """
    Raises:
        ValueError: it is no key, and might lead out of the store.
    """
    if not KEY.fullmatch(key):
        raise ValueError("a key has 32 hexadecimal digits")
    return key


class DiskStorage:
    """Keeps objects below a directory, readable by this user alone.

    A folder that became empty stays: removing it would race with a put into it, and there are
    65,536 of them at most.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = Incoming(root / "incoming")

    @property
    def incoming(self) -> Path:
        return self._incoming.path()

    def put(self, key: str, source: Path) -> None:
        target = self._path(key)
        with disk_errors():
            self._make_folders(target.parent)
            # The content before its name: after a power cut there is all of it or no object.
            _sync(source, mode=0o600)
            try:
                source.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _replace_by_copy(source, target)
            _sync(target.parent)

    def open(self, key: str, *, start: int = 0) -> Reader:
        path = self._path(key)
        try:
            with disk_errors():
                file = self._open_existing(path)
                file.seek(start)
        except ObjectMissing:
            self._check_presence()
            raise
        return _DiskReader(file, path)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with disk_errors():
            found = [_unlink(name) for name in (_draft_of(path), path)]
            if any(found):
                # Or a power cut could bring back what nothing knows of any more.
                _sync(path.parent)
        if not any(found):
            self._check_presence()

    def presign(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str | None:
        return None

    def walk(self) -> Iterator[StoredObject]:
        with disk_errors():
            for first in _folders(self._root):
                for second in _folders(first):
                    yield from _objects(second)

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)[:2] / key[2:4] / key

    def _make_folders(self, folder: Path) -> None:
        for new in (folder.parent, folder):
            with suppress(FileExistsError):
                new.mkdir(mode=0o700)
                _sync(new.parent)

    @staticmethod
    def _open_existing(path: Path) -> FileIO:
        try:
            # Unbuffered: readers take a MiB at a time.
            return FileIO(path)
        except FileNotFoundError as error:
            raise ObjectMissing from error

    def _check_presence(self) -> None:
        """Where nothing was ever stored, a disk is not mounted: no single object is lost.

        Raises:
            StorageUnavailable
        """
        with disk_errors(), os.scandir(self._root) as entries:
            if not any(FOLDER.fullmatch(entry.name) for entry in entries):
                log.error("storage.disk_empty", hint=f"{self._root} is empty: is its disk mounted?")
                raise StorageUnavailable


class _DiskReader:
    """Reads up to a bad sector as if the content ended there: its hash tells that it is damaged."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file, self._path = file, path

    def read(self, size: int, /) -> bytes:
        with disk_errors():
            try:
                return self._file.read(size)
            except OSError as error:
                if error.errno not in UNREADABLE or not _takes_writes(self._path.parent):
                    raise
                log.error("storage.object_unreadable", path=str(self._path), error=str(error))
                return b""

    def close(self) -> None:
        self._file.close()


def _takes_writes(folder: Path) -> bool:
    """Whether the disk is there at all: if not, no single object is damaged."""
    try:
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno in NO_ROOM
    return True


def _sync(path: Path, *, mode: int | None = None) -> None:
    """Have the disk keep a file's content, or a folder's names, on return."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_by_copy(source: Path, target: Path) -> None:
    """As ``replace``, to another file system; a draft that is left is removed with the object."""
    draft = _draft_of(target)
    shutil.copyfile(source, draft)
    _sync(draft, mode=0o600)
    draft.replace(target)
    source.unlink()


def _draft_of(path: Path) -> Path:
    return path.with_suffix(".part")


def _unlink(path: Path) -> bool:
    """Whether there was such a file."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if FOLDER.fullmatch(path.name))


def _objects(folder: Path) -> Iterator[StoredObject]:
    with os.scandir(folder) as found:
        entries = sorted(
            (entry for entry in found if KEY.fullmatch(entry.name)), key=lambda entry: entry.name
        )
    for entry in entries:
        # It may have been deleted since the folder was read.
        with suppress(FileNotFoundError):
            status = entry.stat()
            modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
            yield StoredObject(key=entry.name, size=status.st_size, modified_at=modified_at)
