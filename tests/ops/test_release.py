"""Whether the release step can be left out."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from taskapi.ops.release import is_released, read_versions
from tests.postgresql import start_postgresql

CREATE = "CREATE TABLE alembic_version (version_num VARCHAR(32))"


@pytest.fixture(autouse=True)
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose newest revision is 0007."""
    monkeypatch.setattr("taskapi.core.migrations.MIGRATIONS_DIR", tmp_path)
    head = tmp_path / "head"
    head.write_text("0007\n")
    return head


def make_sqlite(path: Path, *versions: str) -> str:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(CREATE)
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [(version,) for version in versions])
    return f"sqlite:///{path}"


def test_a_database_at_the_head_needs_no_release(tmp_path: Path) -> None:
    assert is_released(make_sqlite(tmp_path / "an ünusual 100% name.db", "0007"))


@pytest.mark.parametrize("versions", [(), ("0006",), ("0007", "0008")])
def test_a_database_elsewhere_needs_it(tmp_path: Path, versions: tuple[str, ...]) -> None:
    assert not is_released(make_sqlite(tmp_path / "some.db", *versions))


def test_a_database_without_the_table_needs_it(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    assert not is_released(f"sqlite:///{tmp_path}/empty.db")


def test_a_missing_database_needs_it_and_is_not_made_by_asking(tmp_path: Path) -> None:
    assert not is_released(f"sqlite:///{tmp_path}/missing.db")
    assert not (tmp_path / "missing.db").exists()


def test_an_installation_that_does_not_name_its_head_needs_it(tmp_path: Path, head: Path) -> None:
    url = make_sqlite(tmp_path / "some.db", "0007")
    head.unlink()
    assert not is_released(url)


def test_options_of_the_address_do_not_belong_to_the_file_name(tmp_path: Path) -> None:
    assert is_released(make_sqlite(tmp_path / "some.db", "0007") + "?timeout=3")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://somewhere/else"])
def test_a_database_that_cannot_be_asked_needs_it(url: str) -> None:
    assert read_versions(url) == []


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_postgresql(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


def test_a_postgresql_database_is_asked_as_well(postgresql: str) -> None:
    assert not is_released(postgresql)
    with psycopg.connect(postgresql.replace("+psycopg", "")) as connection:
        connection.execute(CREATE)
        connection.execute("INSERT INTO alembic_version VALUES ('0007')")
    assert is_released(postgresql)


def test_a_postgresql_server_that_is_away_is_no_reason_to_wait() -> None:
    assert not is_released("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
