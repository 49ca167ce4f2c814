"""What is read of a database that stands still: its rows counted, and which objects they name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from taskapi.ops.backup.errors import BackupError

# By table: those of its rows whose objects are needed. Plain SQL, as the tables may be older ones.
NAMING = {
    "files": "SELECT storage_key, size, sha256 FROM files",
    "task_imports": "SELECT storage_key, size, sha256 FROM task_imports"
    " WHERE status IN ('pending', 'running', 'undoing')",
}
FETCHED_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A database at one moment.

    Attributes:
        dump: the file it lies in.
        member: what the file is called in an archive.
        objects: lines of key, size and SHA-256: as many as there are files, so not in memory.
        bytes: of all objects together.
    """

    dump: Path
    member: str
    revision: str
    tables: dict[str, int]
    objects: IO[bytes]
    bytes: int


def read_revision(connection: sa.Connection) -> str:
    """
    Raises:
        BackupError: it has no tables of ours.
    """
    if not sa.inspect(connection).has_table("alembic_version"):
        raise BackupError("the database has no tables: there is nothing to back up")
    return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())


def count_rows(connection: sa.Connection) -> dict[str, int]:
    """How many rows each table has, but for the inner ones of indexes."""
    names = sorted(name for name in sa.inspect(connection).get_table_names() if "_index" not in name)
    # Names of tables, ours: nothing to escape.
    counts = {name: sa.text(f"SELECT COUNT(*) FROM {name}") for name in names}  # noqa: S608
    return {name: connection.execute(count).scalar_one() for name, count in counts.items()}


def list_objects(connection: sa.Connection, out: IO[bytes]) -> int:
    """Write a line for each object that a row names; their bytes together."""
    there, total = set(sa.inspect(connection).get_table_names()), 0
    for table in NAMING.keys() & there:
        rows = connection.execution_options(yield_per=FETCHED_ROWS).execute(sa.text(NAMING[table]))
        for key, size, sha256 in rows:
            out.write(f"{key} {size} {sha256}\n".encode())
            total += size
    return total


def read_objects(lines: IO[bytes]) -> Iterator[tuple[str, int, str]]:
    """Key, size and SHA-256 of each."""
    lines.seek(0)
    for line in lines:
        key, size, sha256 = line.decode().split()
        yield key, int(size), sha256
