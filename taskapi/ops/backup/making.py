"""Makes a backup while the service goes on.

The database first, at one moment; then the objects that its rows name. What was uploaded since is in
neither; what was deleted since is in the database alone, and the manifest names it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from taskapi.clients.storage.base import ObjectMissing, Storage, StorageUnavailable
from taskapi.core.db import transaction
from taskapi.core.events import record_event
from taskapi.core.migrations import head_revision
from taskapi.core.runtime import runtime_settings
from taskapi.ops.backup import postgresql, sqlite
from taskapi.ops.backup.archive import HEADER, MANIFEST, OBJECTS, ArchiveWriter
from taskapi.ops.backup.errors import BackupError, disk_errors
from taskapi.ops.backup.manifest import NOBODY, Manifest, make_header, to_json
from taskapi.ops.backup.snapshot import Snapshot, read_objects

# Called with the bytes of objects that are done, and of all.
Tell = Callable[[int, int], object]
STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of it."""

    path: str
    bytes: int
    rows: int
    objects: int
    missing: int
    damaged: int


def make_backup(path: Path, *, storage: Storage, tell: Tell) -> Made:
    """Write an archive of everything under this name, or to standard output if it is ``-``.

    Raises:
        BackupError: nothing is left under the name, or what was there before.
    """
    with _output(path) as out, _workshop(path) as folder, TemporaryFile(dir=folder) as sums:
        writer = ArchiveWriter(out, sums)
        is_sqlite = runtime_settings().uses_sqlite
        take_snapshot = sqlite.take_snapshot if is_sqlite else postgresql.take_snapshot
        with take_snapshot(folder) as snapshot:
            database = "sqlite" if is_sqlite else "postgresql"
            writer.add_bytes(HEADER, to_json(make_header(revision=snapshot.revision, database=database)))
            with snapshot.dump.open("rb") as dump:
                writer.add(snapshot.member, snapshot.dump.stat().st_size, dump)
            snapshot.dump.unlink()
            manifest = _add_objects(writer, snapshot, storage, tell)
        writer.add_bytes(MANIFEST, to_json(manifest))
        size = writer.finish()
    made = Made(
        path=str(path),
        bytes=size,
        rows=sum(manifest.tables.values()),
        objects=manifest.objects,
        missing=len(manifest.missing),
        damaged=len(manifest.damaged),
    )
    if snapshot.revision == head_revision():
        # Older tables, before an upgrade, do not take events of this version.
        with transaction():
            record_event("backup.made", subject=("backup", NOBODY), after=asdict(made))
    return made


def _add_objects(writer: ArchiveWriter, snapshot: Snapshot, storage: Storage, tell: Tell) -> Manifest:
    manifest = Manifest(tables=snapshot.tables)
    for key, size, sha256 in read_objects(snapshot.objects):
        try:
            reader = storage.open(key)
        except ObjectMissing:
            manifest.missing.append(key)
            continue
        except StorageUnavailable as error:
            raise BackupError("the store of files is out of reach") from error
        try:
            if writer.add(OBJECTS + key, size, reader) != sha256:
                manifest.damaged.append(key)
        except StorageUnavailable as error:
            raise BackupError("the store of files broke off") from error
        finally:
            reader.close()
        manifest.objects += 1
        manifest.bytes += size
        tell(manifest.bytes, snapshot.bytes)
    return manifest


@contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """A private directory on the disk that has room for an archive."""
    place = runtime_settings().data_dir if path == STANDARD_OUTPUT else path.absolute().parent
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place, prefix=".taskapi-backup-") as folder:
            yield Path(folder)


@contextmanager
def _output(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name once it is whole and on the disk; readable by its owner alone."""
    if path == STANDARD_OUTPUT:
        with disk_errors(path):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_errors(path):
        try:
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w+b") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            draft.replace(path)
            _sync(path.absolute().parent)
        finally:
            draft.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
