"""flask admin files verify"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.core.db import session
from taskapi.files import passes
from taskapi.files.models import IntegrityPass
from tests.files.faults import store_failing, store_whole
from tests.files.making import CONTENT, replace_object, row_of, store
from tests.files.test_verify import events
from tests.people import Person

Run = Callable[..., Result]
SIZE = len(CONTENT)


@pytest.fixture
def two_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "BATCH_FILES", 2)


def report(result: Result, exit_code: int) -> dict[str, Any]:
    assert result.exit_code == exit_code, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def stand(app: Flask) -> tuple[int, bool]:
    """How many files the newest check has looked at, and whether it is over."""
    with app.app_context():
        row = session().scalars(sa.select(IntegrityPass).order_by(IntegrityPass.id.desc())).first()
    assert row is not None
    return row.files, row.finished_at is not None


def test_when_all_are_well_it_ends_with_0(flask: Run, owner: Person, two_a_batch: None) -> None:
    for _ in range(5):
        store(owner)
    result = flask("admin files verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"5 files, {5 * SIZE} bytes: 0 changed, 0 missing.\n"


def test_without_files_there_is_nothing_to_complain_of(flask: Run) -> None:
    nothing = {"files": 0, "bytes": 0, "changed": 0, "missing": 0, "damaged": []}
    assert report(flask("admin files verify --json"), 0) == nothing


def test_each_damaged_file_is_named_and_it_ends_with_1(
    app: Flask, flask: Run, owner: Person, teammate: Person, two_a_batch: None
) -> None:
    _well, missing, changed = store(owner), store(owner), store(teammate, filename="b[1].txt")
    replace_object(app, missing, None)
    replace_object(app, changed, b"something else")
    result = flask("admin files verify")
    assert result.exit_code == 1
    heading, first, second, end = result.stdout.splitlines()
    assert heading.split() == ["id", "owner", "filename", "damage"]
    assert first.split() == [str(changed), "tariq", "b[1].txt", "changed"]
    assert second.split() == [str(missing), "olivia", "notes.txt", "missing"]
    assert end == f"3 files, {3 * SIZE} bytes: 1 changed, 1 missing."
    told = report(flask("admin files verify --json"), 1)
    assert [file["damage"] for file in told["damaged"]] == ["changed", "missing"]
    assert events(app) == ["file.damaged"] * 2, "told once, however often it is found"


def test_what_was_mended_is_well_again(app: Flask, flask: Run, owner: Person) -> None:
    file_id = store(owner)
    replace_object(app, file_id, b"something else")
    assert flask("admin files verify").exit_code == 1
    replace_object(app, file_id, CONTENT)
    assert report(flask("admin files verify --json"), 0)["damaged"] == []
    assert events(app) == ["file.damaged", "file.repaired"]


def test_it_can_be_narrowed_to_an_owner(app: Flask, flask: Run, owner: Person, teammate: Person) -> None:
    store(owner)
    replace_object(app, store(teammate), b"something else")
    assert report(flask("admin files verify --json --owner olivia"), 0)["files"] == 1
    assert report(flask("admin files verify --json --owner tariq"), 1)["files"] == 1


def killed() -> None:
    # As a signal, it passes every `except Exception`.
    raise KeyboardInterrupt


def test_interrupted_it_goes_on_after_the_last_batch(
    app: Flask, flask: Run, owner: Person, two_a_batch: None
) -> None:
    files = [store(owner) for _ in range(5)]
    replace_object(app, files[0], b"something else")
    with store_failing(app, after_reads=2 * 2 + 1, fail=killed):
        result = flask("admin files verify --json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "file.damaged" in result.stderr
    assert result.stderr.endswith("\nInterrupted. Go on with 'flask admin files verify --resume'.\n")
    assert stand(app) == (2, False)
    before = row_of(app, files[0])
    told = report(flask("admin files verify --resume --json"), 1)
    assert (told["files"], told["changed"], told["damaged"][0]["id"]) == (5, 1, str(files[0]))
    after = row_of(app, files[0])
    assert before is not None
    assert after is not None
    assert after.checked_at == before.checked_at, "it is not read again"
    assert stand(app) == (5, True)


def test_a_store_that_goes_away_is_one_line_and_marks_nothing(
    app: Flask, flask: Run, owner: Person, two_a_batch: None
) -> None:
    for _ in range(3):
        store(owner)
    with store_failing(app, after_reads=2 * 2):
        result = flask("admin files verify")
    line = "Error: Storage unavailable. Go on with 'flask admin files verify --resume'.\n"
    assert (result.exit_code, result.stderr) == (2, line)
    assert events(app) == []
    assert report(flask("admin files verify --json --resume"), 0)["files"] == 3


def test_there_must_be_something_to_resume(flask: Run, owner: Person) -> None:
    store(owner)
    assert flask("admin files verify").exit_code == 0
    result = flask("admin files verify --resume")
    line = "Error: There is no interrupted check to resume; begin one without --resume.\n"
    assert (result.exit_code, result.stderr) == (2, line)


def test_a_resumed_check_stays_with_its_owner(
    app: Flask, flask: Run, owner: Person, teammate: Person
) -> None:
    store(owner)
    store(teammate)
    with store_failing(app, fail=killed):
        assert flask("admin files verify --owner olivia").exit_code == 130
    assert flask("admin files verify --resume --owner tariq").exit_code == 2
    assert report(flask("admin files verify --resume --json"), 0)["files"] == 1


def test_an_unknown_owner_is_one_line(flask: Run) -> None:
    result = flask("admin files verify --owner nobody")
    assert (result.exit_code, result.stderr) == (2, "Error: There is no user 'nobody'.\n")


def test_a_file_that_is_deleted_meanwhile_is_not_missing(app: Flask, flask: Run, owner: Person) -> None:
    _first, second = store(owner), store(owner)
    with store_failing(app, fail=lambda: owner.delete(f"/api/files/{second}")):
        told = report(flask("admin files verify --json"), 0)
    assert (told["files"], told["bytes"], told["missing"]) == (1, SIZE, 0)


def test_two_who_go_on_with_one_check_do_not_count_twice(
    app: Flask, flask: Run, owner: Person, two_a_batch: None
) -> None:
    for _ in range(3):
        store(owner)
    with store_failing(app, after_reads=1, fail=killed):
        flask("admin files verify")

    def another_goes_on() -> None:
        with store_whole(app):
            assert report(flask("admin files verify --json --resume"), 0)["files"] == 3

    with store_failing(app, fail=another_goes_on):
        result = flask("admin files verify --resume")
    assert (result.exit_code, result.stderr) == (2, "Error: Another process goes on with this check.\n")
    assert stand(app) == (3, True)
