"""Installations of real processes, on SQLite and on PostgreSQL, each with its own Valkey."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from taskapi.background.embedded import EmbeddedRedis
from tests.conftest import DATABASES
from tests.e2e.installation import Installation, environment_of

# Where the ports begin that the system gives to whoever asks for any.
SYSTEMS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000


def free_port() -> int:
    """A port that a server may leave and come back to: no outgoing connection has it meanwhile."""
    with suppress(OSError):
        below = int(SYSTEMS_OWN.read_text().split()[0])
        for _ in range(100 if below > LOWEST_PORT else 0):
            with suppress(OSError):
                return _bound(LOWEST_PORT + secrets.randbelow(below - LOWEST_PORT))
    return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture(params=DATABASES)
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """A migrated installation without processes; a test starts those it needs."""
    server = EmbeddedRedis(tmp_path)
    server.start()
    environment = environment_of(tmp_path, PORT=str(free_port()))
    if request.param == "postgresql":
        url = sa.make_url(request.getfixturevalue("postgresql_url"))
        name = f"{url.database}_e2e"
        environment["DATABASE_URL"] = _create_database(url, name)
    found = Installation(tmp_path, int(environment["PORT"]), environment)
    found.run("db", "upgrade")
    yield found
    found.stop()
    server.stop()
    if request.param == "postgresql":
        _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def _create_database(url: sa.URL, name: str) -> str:
    _execute(url, f"CREATE DATABASE {name}")
    return url.set(database=name).render_as_string(hide_password=False)


def _execute(url: sa.URL, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()
