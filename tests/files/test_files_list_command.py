"""flask admin files list"""

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result
from flask import Flask

from taskapi.files.integrity import report_damage
from tests.files.making import CONTENT, store
from tests.people import Person

Run = Callable[..., Result]
HEADING = ["id", "owner", "filename", "content_type", "size", "sha256", "damage", "created_at"]


def listed(flask: Run, options: str = "") -> list[dict[str, Any]]:
    result = flask(f"admin files list --json {options}")
    assert result.exit_code == 0, result.output
    files: list[dict[str, Any]] = json.loads(result.stdout)
    return files


def test_it_lists_everybodys_files_newest_first(flask: Run, owner: Person, teammate: Person) -> None:
    first, second = store(owner, filename="a.txt"), store(teammate, filename="b.txt")
    files = listed(flask)
    assert [(file["id"], file["owner"], file["filename"]) for file in files] == [
        (str(second), "tariq", "b.txt"),
        (str(first), "olivia", "a.txt"),
    ]
    assert list(files[0]) == HEADING
    assert (files[0]["size"], files[0]["damage"]) == (len(CONTENT), None)


def test_for_people_it_is_a_table_with_nothing_cut_off(flask: Run, owner: Person) -> None:
    store(owner, filename=f"{'long' * 60}.[b]txt")
    heading, row = flask("admin files list").stdout.splitlines()
    assert heading.split() == HEADING
    assert f"{'long' * 60}.[b]txt" in row


def test_it_can_be_narrowed_to_an_owner_and_to_what_is_damaged(
    app: Flask, flask: Run, owner: Person, teammate: Person
) -> None:
    _well, damaged, other = store(owner), store(owner), store(teammate)
    with app.app_context():
        for file_id in (damaged, other):
            report_damage(file_id=file_id, damage="missing")
    assert [file["id"] for file in listed(flask, "--damaged --owner olivia")] == [str(damaged)]
    assert [file["damage"] for file in listed(flask, "--damaged")] == ["missing", "missing"]
    assert len(listed(flask, f"--owner {owner.email}")) == 2


def test_it_can_be_limited_to_the_newest(flask: Run, owner: Person) -> None:
    ids = [str(store(owner)) for _ in range(3)]
    assert [file["id"] for file in listed(flask, "--limit 2")] == [ids[2], ids[1]]
    assert flask("admin files list --limit 0").exit_code == 2


def test_an_unknown_owner_is_one_line(flask: Run) -> None:
    result = flask("admin files list --owner nobody")
    assert (result.exit_code, result.stderr) == (1, "Error: There is no user 'nobody'.\n")
    assert listed(flask) == []
