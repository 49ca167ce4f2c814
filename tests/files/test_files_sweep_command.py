"""flask admin files sweep"""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.clients.storage.disk import DiskStorage
from taskapi.core.db import session, transaction
from taskapi.files import sweeping, usage
from taskapi.files.models import MISSING, FileUsage
from taskapi.files.objects import announce_object
from tests.files.making import CONTENT, replace_object, row_of, store, used
from tests.files.objects import deleting, discarded, is_stored, later, put_object, refuse
from tests.files.test_verify import events
from tests.people import Person
from tests.s3 import new_bucket

Run = Callable[..., Result]
NOTHING = dict.fromkeys(sweeping.Sweep.__dataclass_fields__, 0)


@pytest.fixture(autouse=True)
def own_store(app: Flask, tmp_path: Path) -> Iterator[DiskStorage]:
    real = app.extensions["taskapi_storage"]
    app.extensions["taskapi_storage"] = disk = DiskStorage(tmp_path / "files")
    yield disk
    app.extensions["taskapi_storage"] = real


@pytest.fixture
def flask(app: Flask, flask: Run) -> Run:
    """Runs a command two hours from now, when no object is young any more."""

    def run(line: str, **options: Any) -> Result:
        with later(hours=2):
            return flask(line, **options)

    return run


def orphan(app: Flask, content: bytes = b"nobody's") -> str:
    with app.app_context():
        return put_object(content=content)


def stored(app: Flask, key: str) -> bool:
    with app.app_context():
        return is_stored(key)


def report(result: Result, exit_code: int = 0) -> dict[str, int]:
    """What was found, without what was not."""
    assert result.exit_code == exit_code, result.output
    [told] = json.loads(result.stdout)
    assert told.keys() == NOTHING.keys()
    return {name: count for name, count in told.items() if count}


def test_where_all_is_well_nothing_is_found(app: Flask, flask: Run, owner: Person) -> None:
    files = [store(owner) for _ in range(2)]
    assert report(flask("admin files sweep --yes --json")) == {"objects": 2, "files": 2}
    assert [row_of(app, file_id).damage for file_id in files] == [None, None]  # type: ignore[union-attr]


def test_a_new_installation_has_nothing_to_sweep(flask: Run) -> None:
    assert report(flask("admin files sweep --yes --json")) == {}


def test_objects_that_belong_to_no_file_are_removed(app: Flask, flask: Run, owner: Person) -> None:
    store(owner)
    keys = [orphan(app), orphan(app, b"12")]
    found = report(flask("admin files sweep --yes --json"))
    assert found == {"objects": 3, "files": 1, "orphans": 2, "orphan_bytes": 10, "removed": 2}
    assert not any(stored(app, key) for key in keys)
    assert report(flask("admin files sweep --yes --json")) == {"objects": 1, "files": 1}


def test_objects_of_uploads_in_progress_stay(app: Flask, flask: Run) -> None:
    with app.app_context():
        key = put_object(announce_object())
    assert report(flask("admin files sweep --yes --json")) == {"objects": 1}
    assert stored(app, key)


def test_objects_that_are_young_stay(app: Flask, own_store: DiskStorage) -> None:
    with app.app_context():
        key = put_object()
        assert sweeping.sweep(storage=own_store, remove=True).orphans == 0
        assert is_stored(key)


def test_files_without_an_object_are_marked_and_it_ends_with_1(app: Flask, flask: Run, owner: Person) -> None:
    well, lost = store(owner), store(owner)
    replace_object(app, lost, None)
    found = report(flask("admin files sweep --yes --json"), exit_code=1)
    assert found == {"objects": 1, "files": 2, "missing": 1}
    assert [row_of(app, file_id).damage for file_id in (well, lost)] == [None, MISSING]  # type: ignore[union-attr]
    assert events(app) == ["file.damaged"]


def test_a_dry_run_finds_the_same_and_changes_nothing(app: Flask, flask: Run, owner: Person) -> None:
    lost, key = store(owner), orphan(app)
    replace_object(app, lost, None)
    found = report(flask("admin files sweep --dry-run --json"), exit_code=1)
    assert found == {"objects": 1, "files": 1, "orphans": 1, "orphan_bytes": 8, "missing": 1}
    assert stored(app, key)
    assert row_of(app, lost).damage is None  # type: ignore[union-attr]


def test_it_asks_before_it_removes(app: Flask, flask: Run) -> None:
    key = orphan(app)
    refused = flask("admin files sweep", typed="n\n")
    assert refused.exit_code == 1
    assert "Remove 1 objects of no file (8 bytes)?" in refused.stderr
    assert stored(app, key)
    assert report(flask("admin files sweep --json", typed="y\n"))["removed"] == 1
    assert not stored(app, key)


def test_without_a_question_to_ask_it_just_tells(flask: Run, owner: Person) -> None:
    store(owner)
    result = flask("admin files sweep")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.split() == [*NOTHING, "1", "1", *["0"] * (len(NOTHING) - 2)]


def test_wrong_counts_are_corrected(app: Flask, flask: Run, owner: Person) -> None:
    store(owner)
    with app.app_context(), transaction():
        session().execute(sa.update(FileUsage).values(bytes=5, files=7))
    assert report(flask("admin files sweep --yes --json"))["wrong_counts"] == 1
    assert used(app, owner) == (len(CONTENT), 1)


def test_leftovers_of_dead_uploads_are_removed(flask: Run, own_store: DiskStorage) -> None:
    left = own_store.incoming / "left"
    left.write_bytes(b"half an upl")
    folder = own_store.incoming / "export-left"
    folder.mkdir()
    folder.joinpath("export.xlsx").write_bytes(b"half an export")
    for path in (left, folder):
        os.utime(path, (time.time() - 90_000,) * 2)
    assert report(flask("admin files sweep --yes --json")) == {"stale_uploads": 2}
    assert list(own_store.incoming.iterdir()) == []


def test_what_cannot_be_removed_now_is_removed_later(app: Flask, flask: Run) -> None:
    key = orphan(app)
    with deleting(app, refuse):
        assert "removed" not in report(flask("admin files sweep --yes --json"))
    with app.app_context():
        assert discarded() == {key: 1}


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_nothing_is_overlooked_between_two_batches(
    app: Flask, flask: Run, owner: Person, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", batch)
    for _ in range(3):
        store(owner)
        replace_object(app, store(owner), None)
        orphan(app)
    found = report(flask("admin files sweep --yes --json"), exit_code=1)
    assert found == {"objects": 6, "files": 6, "orphans": 3, "orphan_bytes": 24, "missing": 3, "removed": 3}


def test_a_file_that_came_after_the_objects_were_listed_is_not_missing(
    app: Flask, flask: Run, owner: Person, own_store: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(owner)
    monkeypatch.setattr(own_store, "walk", lambda: iter(()))
    assert report(flask("admin files sweep --yes --json")) == {"files": 1}


def test_a_file_that_is_deleted_while_it_is_looked_for_is_not_missing(
    app: Flask, flask: Run, owner: Person, own_store: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, gone = store(owner), store(owner)
    replace_object(app, gone, None)
    look = own_store.open

    def opened(key: str, **options: Any) -> Any:
        owner.delete(f"/api/files/{gone}")
        return look(key, **options)

    monkeypatch.setattr(own_store, "open", opened)
    assert report(flask("admin files sweep --yes --json")) == {"objects": 1, "files": 2}
    assert row_of(app, well).damage is None  # type: ignore[union-attr]


@pytest.mark.one_database("postgresql")
def test_uploads_of_others_go_on_while_it_counts(
    app: Flask, flask: Run, owner: Person, teammate: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (owner, teammate):
        store(person)
    count = usage._recount

    def counted(owner_id: UUID) -> bool:
        wrong = count(owner_id)
        # With a thread's own connection, which would wait for a lock that is kept.
        with ThreadPoolExecutor(1) as another:
            another.submit(store, people[owner_id]).result(timeout=5)
        return wrong

    people = {person.id: person for person in (owner, teammate)}
    monkeypatch.setattr(usage, "_recount", counted)
    assert "wrong_counts" not in report(flask("admin files sweep --yes --json"))
    assert [used(app, person)[1] for person in (owner, teammate)] == [2, 2]


def test_where_no_disk_is_mounted_no_file_is_marked(
    app: Flask, flask: Run, owner: Person, tmp_path: Path
) -> None:
    file_id = store(owner)
    app.extensions["taskapi_storage"] = DiskStorage(tmp_path / "elsewhere")
    result = flask("admin files sweep --yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("Error: Storage unavailable\n")
    assert row_of(app, file_id).damage is None  # type: ignore[union-attr]


def test_a_bucket_is_swept_alike(app: Flask, flask: Run, owner: Person, s3_url: str, tmp_path: Path) -> None:
    app.extensions["taskapi_storage"] = new_bucket(s3_url, tmp_path)
    store(owner)
    lost, key = store(owner), orphan(app)
    replace_object(app, lost, None)
    found = report(flask("admin files sweep --yes --json"), exit_code=1)
    assert found == {"objects": 2, "files": 2, "orphans": 1, "orphan_bytes": 8, "missing": 1, "removed": 1}
    assert not stored(app, key)
