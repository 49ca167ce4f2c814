"""flask admin audit, list, verify and export"""

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from sqlalchemy.exc import OperationalError

from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.events.audit import verification
from taskapi.events.service import relay_events
from tests.events.audit.making import at, event_at, make_chain, tamper
from tests.people import Person
from tests.tasks.making import make_task

Run = Callable[..., Result]


def test_it_lists_what_happened_the_newest_first(flask: Run, owner: Person) -> None:
    task = make_task(owner)
    for line in ("admin audit", "admin audit list", "admin audit --type task.* --actor olivia"):
        heading, first = flask(line).stdout.splitlines()[:2]
        assert heading.split() == [
            *("created_at", "type", "who", "what", "address", "via", "request_id", "position"),
        ]
        assert f"task.created     olivia  task {task['id']}  127.0.0.1  api".split() == first.split()[2:8]


def test_scripts_get_all_of_it(flask: Run, owner: Person) -> None:
    make_task(owner, title="Tea")
    result = flask("admin audit list --json --limit 1")
    (entry,) = json.loads(result.stdout)
    assert (entry["who"], entry["type"], entry["after"]["title"]) == ("olivia", "task.created", "Tea")
    assert entry["context"]["via"] == "api"


@pytest.mark.one_database
def test_filters_are_those_of_the_api(flask: Run, owner: Person, teammate: Person) -> None:
    task = make_task(owner)
    make_task(teammate)
    for options, count in (
        (f"--subject-id {task['id']}", 1),
        ("--actor tariq --type *.created --subject-type task", 1),
        ("--type task.* --type run.*", 2),
        ("--created-before 2001-01-01", 0),
        ("--created-after 2001-01-01T00:00:00Z --subject-type task", 2),
        ("--address 192.0.2.1", 0),
        ("--request-id none", 0),
    ):
        assert len(json.loads(flask(f"admin audit --json {options}").stdout)) == count, options


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
def test_what_cannot_be_meant_is_told_in_one_line(flask: Run) -> None:
    for options, line in (
        ("--actor nobody", "Error: actor: There is no user 'nobody'."),
        ("--address here", "Error: address: Not an IP address."),
        ("--created-after soon", "Error: created_after: Not a time"),
    ):
        result = flask(f"admin audit {options}")
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith(line)


@pytest.mark.one_database
def test_what_the_operator_does_names_the_user_of_the_system(
    flask: Run, app: Flask, owner: Person, admin: Person
) -> None:
    task = make_task(owner)
    assert flask(f"admin tasks cancel {task['id']}").exit_code == 0
    item = admin.get("/api/admin/audit").json["items"][0]
    name = pwd.getpwuid(os.getuid()).pw_name
    assert (item["type"], item["actor"], item["address"]) == ("task.updated", None, None)
    assert item["context"] == {"via": "cli", "os_user": name}
    make_task(owner)
    assert admin.get("/api/admin/audit").json["items"][0]["via"] == "api"


def test_a_whole_chain_is_told_with_its_head(flask: Run, context: Flask) -> None:
    make_chain(3)
    head = f"3:{event_at(3).hash.hex()}"  # type: ignore[union-attr]
    result = flask("admin audit verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"3 events verified, 0 of them erased with a reason.\nHead: {head}\nThe chain is whole.\n"
    )
    assert flask(f"admin audit verify --head {head}").exit_code == 0
    report = json.loads(flask("admin audit verify --json").stdout)
    assert report == {
        "ok": True,
        "checked": 3,
        "erased": 0,
        "before": 0,
        "waiting": 0,
        "head": head,
        "fault_count": 0,
        "faults": [],
    }
    assert context


def test_a_broken_chain_is_told_with_the_place(flask: Run, context: Flask) -> None:
    make_chain(4)
    tamper(sa.update(Event).where(at(2)).values(after=None), sa.delete(Event).where(at(3)))
    result = flask("admin audit verify")
    assert result.exit_code == 1
    assert result.stderr == "The chain is broken: 2 faults.\n"
    assert [line.split()[:3] for line in result.stdout.splitlines()[-2:]] == [
        ["altered", "2", "2"],
        ["missing", "3", "3"],
    ]
    report = json.loads(flask("admin audit verify --json").stdout)
    assert [fault["kind"] for fault in report["faults"]] == ["altered", "missing"]
    assert context


@pytest.mark.one_database
def test_a_head_that_does_not_fit_breaks_the_chain(flask: Run, context: Flask) -> None:
    make_chain(2)
    assert flask("admin audit verify --head", f"2:{'0' * 64}").exit_code == 1
    assert flask("admin audit verify --head 2").exit_code == 2
    assert context


@pytest.mark.one_database
def test_a_chain_that_cannot_be_read_is_neither_whole_nor_broken(
    flask: Run, context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_chain(2)

    def fail(*_args: object, **_options: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the disk is gone"))

    monkeypatch.setattr(verification, "_batches", fail)
    result = flask("admin audit verify")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert context


def test_an_export_is_verified_by_the_program_of_the_docs(
    flask: Run, app: Flask, owner: Person, tmp_path: Path
) -> None:
    page = Path(__file__, "../../../docs/audit.md").resolve().read_text()
    program = tmp_path / "verify.py"
    program.write_text(page.partition("```python\n")[2].partition("```")[0])
    for number in range(3):
        make_task(owner, title=f"Größe {number} 🍵", due_date="2031-01-01T00:00:00.5Z")
    with app.app_context():
        relay_events()
    owner.delete("/api/auth/me", json={"password": "correct horse battery"})
    with app.app_context():
        relay_events()
    exported = tmp_path / "audit.jsonl"
    assert flask(f"admin audit export --output {exported}").exit_code == 0
    assert verdict(program, exported) == (0, f"whole, up to {last_head(exported)}")
    lines = exported.read_bytes().splitlines(keepends=True)
    for damaged in (
        [*lines[:2], *lines[3:]],
        [*lines[:1], lines[1].replace(b"user.signed_in", b"user.signed_on"), *lines[2:]],
        [*lines[:-1], lines[-1].replace(b"user.closed", b"user.opened")],
    ):
        exported.write_bytes(b"".join(damaged))
        assert verdict(program, exported)[0] == 1


def verdict(program: Path, exported: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(exported)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


def last_head(exported: Path) -> str:
    last = json.loads(exported.read_text().splitlines()[-1])
    return f"{last['position']}:{last['hash']}"


@pytest.mark.one_database
def test_who_exports_is_recorded(flask: Run, app: Flask, admin: Person, owner: Person) -> None:
    make_task(owner)
    with app.app_context():
        relay_events()
    by_shell = flask("admin audit export --type task.*").stdout
    answer = admin.get("/api/admin/audit/export?type=task.*")
    assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
    assert answer.text == by_shell
    assert [json.loads(line)["type"] for line in by_shell.splitlines()] == ["task.created"]
    with app.app_context():
        found = session().scalars(sa.select(Event).where(Event.type == "audit.exported").order_by(Event.id))
        assert [(event.actor_id, event.after) for event in found] == [
            (None, {"filters": {"type": "['task.*']"}}),
            (admin.id, {"filters": {"type": "['task.*']"}}),
        ]


@pytest.mark.one_database
@pytest.mark.usefixtures("app")
def test_a_file_that_cannot_be_written_is_told_in_one_line(flask: Run, tmp_path: Path) -> None:
    result = flask(f"admin audit export --output {tmp_path}/none/audit.jsonl")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert list(tmp_path.iterdir()) == []
