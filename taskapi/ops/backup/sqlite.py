"""SQLite: a copy by its own backup, while the service goes on, and back in one transaction."""

import gzip
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import quote

import sqlalchemy as sa

from taskapi.core.db import db
from taskapi.ops.backup.errors import ArchiveDamaged, BackupError
from taskapi.ops.backup.snapshot import Snapshot, count_rows, list_objects, read_revision

MEMBER = "database/taskapi.db.gz"
BUSY_SECONDS = 15
# Fast: it is text mostly, and the disk is not to wait for it.
COMPRESSION = 3
COPY_BYTES = 1_048_576


@contextmanager
def take_snapshot(folder: Path) -> Iterator[Snapshot]:
    """A copy of the database as it is now.

    Raises:
        BackupError: the database is damaged, or has no tables.
    """
    copy, dump = folder / "taskapi.db", folder / "taskapi.db.gz"
    with _errors():
        _copy(_path(), copy)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(copy)))
    with TemporaryFile(dir=folder) as objects:
        with engine.connect() as connection:
            if (verdict := connection.execute(sa.text("PRAGMA quick_check(1)")).scalar()) != "ok":
                raise BackupError(f"the database is damaged: {verdict}")
            revision, tables = read_revision(connection), count_rows(connection)
            size = list_objects(connection, objects)
        engine.dispose()
        with copy.open("rb") as plain, gzip.open(dump, "wb", compresslevel=COMPRESSION) as packed:
            shutil.copyfileobj(plain, packed, COPY_BYTES)
        copy.unlink()
        yield Snapshot(
            dump=dump, member=MEMBER, revision=revision, tables=tables, objects=objects, bytes=size
        )


def load(dump: Path) -> None:
    """Put what was dumped in the place of the database, in one transaction: all of it, or nothing.

    Whoever has the database open sees the new one from then on.

    Raises:
        BackupError: it is no database, or there is no room for it.
    """
    unpacked = dump.with_suffix(".unpacked")
    try:
        with gzip.open(dump, "rb") as packed, unpacked.open("wb") as plain:
            shutil.copyfileobj(packed, plain, COPY_BYTES)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ArchiveDamaged(f"{MEMBER} cannot be unpacked") from error
    db.session.remove()
    db.engine.dispose()
    with _errors():
        _copy(unpacked, _path())
    unpacked.unlink()


def _copy(source: Path, target: Path) -> None:
    with closing(_open(source, "rw")) as there, closing(_open(target, "rwc")) as here:
        # All pages at once: a reader of one moment, for whom no writer has to wait.
        there.backup(here, pages=-1)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    # By its mode, as a file that is missing must not be made by looking for it.
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS)


def _path() -> Path:
    return Path(db.engine.url.database or "")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be copied: {error}") from error
