"""flask admin backup"""

import hashlib
import json
import os
import resource
import signal
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.ops.backup import postgresql
from tests.files.making import CONTENT, key_of, replace_object, store
from tests.people import Person
from tests.s3 import new_bucket

Run = Callable[..., Result]
Archive = Callable[[], Path]


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def manifest(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(members(path)["manifest.json"])
    return found


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, writing fails in the middle."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_the_archive_holds_the_database_and_every_file(app: Flask, owner: Person, archive: Archive) -> None:
    keys = [key_of(app, store(owner, content)) for content in (CONTENT, b"", b"x" * 3_000_000)]
    path = archive()
    found = members(path)
    assert [found[f"objects/{key}"] for key in keys] == [CONTENT, b"", b"x" * 3_000_000]
    assert next(iter(found)) == "taskapi-backup.json"
    assert next(name for name in found if name.startswith("database/"))
    assert manifest(path)["tables"]["users"] == 1
    assert manifest(path)["objects"] == 3


@pytest.mark.one_database
def test_the_sums_are_those_of_sha256sum(app: Flask, owner: Person, archive: Archive) -> None:
    store(owner)
    found = members(archive())
    lines = found.pop("SHA256SUMS").decode().splitlines()
    assert lines == [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in found.items()]


@pytest.mark.one_database
def test_only_its_owner_reads_it(app: Flask, archive: Archive) -> None:
    assert archive().stat().st_mode & 0o777 == 0o600


def test_an_object_that_was_deleted_meanwhile_is_named(app: Flask, owner: Person, archive: Archive) -> None:
    gone, kept = store(owner), store(owner)
    key = key_of(app, gone)
    replace_object(app, gone, None)
    path = archive()
    assert manifest(path)["missing"] == [key]
    assert f"objects/{key_of(app, kept)}" in members(path)


@pytest.mark.one_database
@pytest.mark.parametrize("content", [b"too short", b"far too long" * 10], ids=["short", "long"])
def test_an_object_that_is_damaged_is_named(
    app: Flask, owner: Person, archive: Archive, content: bytes
) -> None:
    file = store(owner)
    replace_object(app, file, content)
    assert manifest(archive())["damaged"] == [key_of(app, file)]


def test_the_service_goes_on_meanwhile(app: Flask, owner: Person, archive: Archive) -> None:
    done, statuses = threading.Event(), []

    def write() -> None:
        while not done.is_set():
            statuses.append(owner.post("/api/tasks", {"title": "Water the plants"}).status_code)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        paths = [archive() for _ in range(3)]
    finally:
        done.set()
        writer.join()
    assert set(statuses) == {201}
    assert manifest(paths[-1])["tables"]["tasks"] <= len(statuses)


def test_a_full_disk_leaves_nothing_behind(app: Flask, owner: Person, flask: Run, tmp_path: Path) -> None:
    store(owner, os.urandom(2_000_000))
    folder = tmp_path / "backups"
    folder.mkdir()
    with no_file_larger_than(1_500_000):
        done = flask("admin backup", str(folder / "backup.tar"))
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.one_database
def test_what_was_there_stays_when_a_backup_fails(
    app: Flask, owner: Person, flask: Run, archive: Archive
) -> None:
    path = archive()
    before = path.read_bytes()
    store(owner, os.urandom(2_000_000))
    with no_file_larger_than(1_500_000):
        assert flask("admin backup", str(path)).exit_code == 1
    assert path.read_bytes() == before


@pytest.mark.one_database
def test_a_folder_that_cannot_be_written_is_one_line(app: Flask, flask: Run) -> None:
    done = flask("admin backup /proc/nowhere/backup.tar")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.one_database
def test_a_service_manager_that_ends_it_finds_nothing_left(
    app: Flask, owner: Person, flask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(owner)
    folder = tmp_path / "backups"
    folder.mkdir()

    def end(_self: DiskStorage, _key: str, **_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(DiskStorage, "open", end)
    assert flask("admin backup", str(folder / "backup.tar")).exit_code == 143
    assert list(folder.iterdir()) == []


@pytest.mark.one_database
def test_looking_for_a_database_does_not_make_one(app: Flask, fresh: Flask, tmp_path: Path) -> None:
    with fresh.app_context():
        done = fresh.test_cli_runner().invoke(args=["admin", "backup", str(tmp_path / "backup.tar")])
    assert done.exit_code == 1
    assert "the database cannot be copied" in done.stderr
    assert not (tmp_path / "fresh.db").exists()


def test_standard_output_gets_the_same_archive(app: Flask, owner: Person, flask: Run, tmp_path: Path) -> None:
    file = store(owner)
    done = flask("admin backup -")
    assert done.exit_code == 0, done.stderr
    path = tmp_path / "piped.tar"
    path.write_bytes(done.stdout_bytes)
    assert members(path)[f"objects/{key_of(app, file)}"] == CONTENT


@pytest.mark.one_database
def test_scripts_read_what_was_made(app: Flask, owner: Person, flask: Run, tmp_path: Path) -> None:
    store(owner)
    path = tmp_path / "backup.tar"
    made = json.loads(flask("admin backup --json", str(path)).stdout)
    assert made["path"] == str(path)
    assert made["bytes"] == path.stat().st_size
    assert (made["objects"], made["missing"], made["damaged"]) == (1, 0, 0)


@pytest.mark.one_database("postgresql")
def test_without_pg_dump_it_says_what_to_install(
    app: Flask, flask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = flask("admin backup", str(tmp_path / "backup.tar"))
    assert done.exit_code == 1
    assert "pg_dump is not on PATH" in done.stderr


@pytest.mark.one_database("postgresql")
def test_a_pg_dump_older_than_the_server_is_refused(
    app: Flask, flask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "pg_dump"
    old.write_text('#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n')
    old.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = flask("admin backup", str(tmp_path / "backup.tar"))
    assert done.exit_code == 1
    assert "9.6.24 is older than the server" in done.stderr


def test_it_stands_in_the_audit(app: Flask, archive: Archive) -> None:
    path = archive()
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "backup.made")).one()
        assert (event.actor_id, event.after) == (None, {**(event.after or {}), "path": str(path)})


@pytest.mark.one_database
def test_objects_may_lie_in_a_bucket(
    app: Flask, owner: Person, archive: Archive, s3_url: str, tmp_path: Path
) -> None:
    app.extensions["taskapi_storage"] = new_bucket(s3_url, tmp_path)
    contents = [b"", CONTENT, os.urandom(2_500_000)]
    keys = [key_of(app, store(owner, content)) for content in contents]
    found = members(archive())
    assert [found[f"objects/{key}"] for key in keys] == contents


@pytest.mark.one_database
@pytest.mark.parametrize(
    "address", ["postgresql://tea:s3cret@db/tasks", "postgresql://tea@db/tasks?password=s3cret"]
)
def test_no_list_of_processes_shows_the_password(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    engine = SimpleNamespace(url=sa.make_url(address))
    monkeypatch.setattr(postgresql, "db", SimpleNamespace(engine=engine))
    started = Mock(return_value=SimpleNamespace(returncode=0))
    monkeypatch.setattr(subprocess, "run", started)
    postgresql._run(["pg_dump", f"--dbname={postgresql._address()}"])
    ((argv,), options) = started.call_args
    assert argv == ["pg_dump", "--dbname=postgresql://tea@db/tasks"]
    assert options["env"]["PGPASSWORD"] == "s3cret"
