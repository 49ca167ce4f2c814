"""Checks an archive, and puts it in the place of an installation.

The objects go into the store first, under names that nobody else has; then the database is replaced
in one transaction. Whatever breaks off before leaves the installation as it was, with objects of no
file at most, which ``flask admin files sweep`` removes.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from taskapi.clients.storage.base import Storage, StorageFull, StorageUnavailable
from taskapi.clients.storage.disk import checked_key
from taskapi.core.db import database_now, db, transaction
from taskapi.core.events import record_event
from taskapi.core.freshness import leap
from taskapi.core.heartbeats import Heartbeat
from taskapi.core.ids import new_id
from taskapi.core.migrations import head_revision
from taskapi.core.runtime import runtime_settings
from taskapi.ops import service
from taskapi.ops.backup import postgresql, sqlite
from taskapi.ops.backup.archive import BLOCK_BYTES, HEADER, MANIFEST, OBJECTS, Member, read_members
from taskapi.ops.backup.errors import ArchiveDamaged, BackupError, disk_errors
from taskapi.ops.backup.manifest import NOBODY, Header, Manifest, is_same_key, read_header, read_manifest
from taskapi.ops.backup.snapshot import count_rows
from taskapi.ops.leader import UpError, leader_lock

MEMBERS = {"sqlite": sqlite.MEMBER, "postgresql": postgresql.MEMBER}
# A manifest names objects that were missing; no more of it is read into memory.
MAX_TEXT_BYTES = 256 * 1_048_576
IS_BEATING = sa.select(
    sa.exists().where(Heartbeat.seen_at > database_now(-service.SCHEDULER_SILENT_AFTER_SECONDS))
)
Tell = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that was read wholly and is what was written once."""

    path: Path
    header: Header
    manifest: Manifest

    @property
    def rows(self) -> int:
        return sum(self.manifest.tables.values())


def check_archive(path: Path, *, tell: Tell) -> Archive:
    """Read all of it, compare every hash and count; nothing is changed.

    Raises:
        BackupError: it is damaged, no backup, or of a newer version.
    """
    texts: dict[str, bytes] = {}
    dumps: set[str] = set()
    counted = Manifest(tables={})
    done, size = 0, path.stat().st_size if path.exists() else 0
    for member in read_members(path):
        if not texts and member.name != HEADER:
            raise ArchiveDamaged(f"{path} is no backup of taskapi")
        if member.name in (HEADER, MANIFEST):
            texts[member.name] = _read_text(member)
        elif member.name in MEMBERS.values():
            dumps.add(member.name)
        else:
            _key_of(member)
            counted.objects += 1
            counted.bytes += member.size
        done += member.size
        tell(done, size)
    if not texts.keys() >= {HEADER, MANIFEST}:
        raise ArchiveDamaged(f"{path} is no backup of taskapi")
    archive = Archive(path, read_header(texts[HEADER]), read_manifest(texts[MANIFEST]))
    if dumps != {MEMBERS.get(archive.header.database)}:
        raise ArchiveDamaged(f"{path} has no database of {archive.header.database}")
    if (counted.objects, counted.bytes) != (archive.manifest.objects, archive.manifest.bytes):
        raise ArchiveDamaged(f"{path} has not as many objects as it says")
    return archive


def _key_of(member: Member) -> str:
    """
    Raises:
        ArchiveDamaged: it is no object, and might lead out of the store.
    """
    try:
        return checked_key(member.name.removeprefix(OBJECTS))
    except ValueError as error:
        raise ArchiveDamaged(f"{member.name!r} belongs in no backup") from error


def _read_text(member: Member) -> bytes:
    if member.size > MAX_TEXT_BYTES:
        raise ArchiveDamaged(f"{member.name} is too large")
    return member.content.read(member.size)


def check_fits(archive: Archive) -> None:
    """
    Raises:
        BackupError: it is of another kind of database, or its tables are newer than this version's.
    """
    here = "sqlite" if runtime_settings().uses_sqlite else "postgresql"
    header = archive.header
    if header.database != here:
        raise BackupError(f"the backup is of {header.database}, and this installation uses {here}")
    if header.revision > head_revision():
        raise BackupError(f"the backup was made by taskapi {header.version}, which is newer: upgrade first")


def restore(archive: Archive, *, storage: Storage, tell: Tell) -> None:
    """Replace the database by the archive's, and put its objects into the store.

    Afterwards the tables are those of this version.

    Raises:
        BackupError
    """
    # Here, as Alembic takes long to load.
    from flask_migrate import upgrade

    with disk_errors(storage.incoming), TemporaryDirectory(dir=storage.incoming, prefix="export-") as name:
        dump = Path(name) / "dump"
        done = 0
        for member in read_members(archive.path):
            if member.name == MEMBERS[archive.header.database]:
                _unpack(member, dump)
            elif member.name.startswith(OBJECTS):
                _put(member, storage)
                done += member.size
                tell(done, archive.manifest.bytes)
        (sqlite.load if archive.header.database == "sqlite" else postgresql.load)(dump)
    _check_rows(archive)
    upgrade()
    with transaction():
        # What processes and Redis keep of the former database fits to no version of this one.
        leap()
        what = {"made_at": archive.header.created_at, "rows": archive.rows}
        record_event("backup.restored", subject=("backup", NOBODY), after=what)


def _unpack(member: Member, target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(member.content, out, BLOCK_BYTES)


def _put(member: Member, storage: Storage) -> None:
    key, draft = _key_of(member), storage.incoming / str(new_id())
    try:
        _unpack(member, draft)
        storage.put(key, draft)
    except StorageFull as error:
        raise BackupError("the store of files is full") from error
    except StorageUnavailable as error:
        raise BackupError(f"{member.name} cannot be stored") from error
    finally:
        draft.unlink(missing_ok=True)


def _check_rows(archive: Archive) -> None:
    with db.engine.connect() as connection:
        found = count_rows(connection)
    for table, rows in archive.manifest.tables.items():
        if found.get(table) != rows:
            raise BackupError(f"{table} has {found.get(table, 0)} rows instead of {rows}: restore it again")


def is_of_another_key(archive: Archive) -> bool:
    """Whether this installation cannot read what is sealed in the archive."""
    return not is_same_key(archive.header)


@contextmanager
def service_stopped() -> Iterator[None]:
    """Make sure that nothing of the service runs, as far as it can be seen, and that ``flask up`` waits.

    Raises:
        BackupError: something runs.
    """
    with db.engine.connect() as connection:
        beating = sa.inspect(connection).has_table(Heartbeat.__tablename__) and connection.scalar(IS_BEATING)
    if beating:
        raise BackupError("the service is running: stop web, workers and schedulers first")
    try:
        with leader_lock(runtime_settings().data_dir, "restore"):
            yield
    except UpError as error:
        raise BackupError(f"{error}: stop it first") from error


def rows_of_people() -> dict[str, int]:
    """What stands in the way of a restore: the tables that have rows somebody may miss."""
    with db.engine.connect() as connection:
        there = set(sa.inspect(connection).get_table_names())
        if "users" not in there:
            return {}
        counts = count_rows(connection)
    return {name: counts[name] for name in ("users", "tasks", "schedules", "files") if counts.get(name)}
