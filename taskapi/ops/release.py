"""Whether the release step has anything to do, found out in milliseconds.

``flask db upgrade`` loads the whole application only to see, at nearly every start, that the
database is current already. Here one row is compared with the shipped ``migrations/head``.
"""

import sqlite3
from contextlib import closing
from urllib.parse import quote, unquote

from taskapi.core.migrations import head_revision

READ_VERSIONS = "SELECT version_num FROM alembic_version"
CONNECT_SECONDS = 3


def is_released(database_url: str) -> bool:
    """Tell whether the database is surely at the newest revision; any doubt is a no."""
    try:
        head = head_revision()
    except (OSError, UnicodeDecodeError):
        return False
    return read_versions(database_url) == [head]


def read_versions(database_url: str) -> list[str]:
    """The revisions that the database says it is at; none when it cannot be asked."""
    if database_url.startswith("sqlite:///"):
        return _read_sqlite(unquote(database_url.removeprefix("sqlite:///").partition("?")[0]))
    if database_url.startswith("postgresql"):
        return _read_postgresql(database_url.replace("+psycopg", "", 1))
    return []


def _read_sqlite(path: str) -> list[str]:
    # Read-only: a question must not create the file.
    address = f"file:{quote(path)}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=CONNECT_SECONDS)) as connection:
            return [str(row[0]) for row in connection.execute(READ_VERSIONS)]
    except sqlite3.Error:
        return []


def _read_postgresql(url: str) -> list[str]:
    # Loaded only where it is used: it costs more than all the rest.
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            return [str(row[0]) for row in connection.execute(READ_VERSIONS)]
    except psycopg.Error:
        return []
