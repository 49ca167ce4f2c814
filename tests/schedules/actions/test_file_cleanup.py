"""The action file_cleanup"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.core.ids import new_id
from taskapi.files import cleanup
from taskapi.schedules.actions import file_cleanup
from taskapi.schedules.actions.base import MAX_LINE_LENGTH, RunCancelled, RunContext
from taskapi.schedules.actions.file_cleanup import NAMED_BYTES, FileCleanupParams
from taskapi.schedules.engine.execution import MAX_RESULT_BYTES
from tests.files.making import CONTENT, key_of, row_of, store, used
from tests.people import Person, make_person, set_role
from tests.schedules.actions.calling import run_now
from tests.schedules.making import make
from tests.tasks.making import make_task

SIZE = len(CONTENT)
EMPTY = {"dry_run": False, "count": 0, "bytes": 0, "files": [], "more": 0}


def old(person: Person, filename: str = "old.txt", *, days: float = 10, **columns: Any) -> UUID:
    return store(person, filename=filename, created_at=clock.now() - timedelta(days=days), **columns)


def plan(person: Person, **params: Any) -> dict[str, Any]:
    action = {"action": "file_cleanup", "params": {"older_than_days": 7, **params}}
    return make(person, **action, cron="0 0 1 1 *", retry={"max_attempts": 1})


def cleaned(app: Flask, person: Person, **params: Any) -> dict[str, Any]:
    """What the run of a cleanup ended with."""
    run = run_now(app, person, plan(person, **params))
    assert run["status"] == "completed", run["error"]
    result: dict[str, Any] = run["result"]
    return result


def left(app: Flask, *files: UUID) -> list[bool]:
    return [row_of(app, file_id) is not None for file_id in files]


def log_of(person: Person, run_id: str) -> str:
    lines = person.get(f"/api/runs/{run_id}/log?per_page=100").json["items"]
    return "\n".join(line["message"] for line in lines)


def test_it_deletes_the_owners_old_files_and_names_them(app: Flask, owner: Person, teammate: Person) -> None:
    gone, young, other = old(owner), old(owner, days=6), old(teammate)
    key = key_of(app, gone)
    named = {"id": str(gone), "filename": "old.txt", "size": SIZE}
    assert cleaned(app, owner) == {**EMPTY, "count": 1, "bytes": SIZE, "files": [named]}
    assert left(app, gone, young, other) == [False, True, True]
    assert used(app, owner) == (SIZE, 1)
    with app.app_context(), pytest.raises(ObjectMissing):
        current_storage().open(key)


def test_its_events_say_which_run_it_was(app: Flask, owner: Person) -> None:
    file_id = old(owner)
    run = run_now(app, owner, plan(owner))
    with app.app_context():
        event = session().scalars(sa.select(Event).where(Event.type == "file.deleted")).one()
    assert (event.subject_id, event.owner_id, event.actor_id) == (file_id, owner.id, owner.id)
    assert event.after == {"reason": f"run {run['id']}"}


PATTERNS: dict[str, set[str]] = {
    "*.tmp": {"a.tmp", "B.TMP"},
    "?.tmp": {"a.tmp", "B.TMP"},
    "[!b]*": {"a.tmp", "notes.txt", "öl.txt"},
    "ÖL*": {"öl.txt"},
    "100%": set(),
    "[": set(),
    "(a+)+$": set(),
    "notes": set(),
    "*": {"a.tmp", "B.TMP", "notes.txt", "öl.txt"},
}


def test_a_pattern_chooses_by_name_in_any_case(app: Flask, owner: Person) -> None:
    for name in ("a.tmp", "B.TMP", "notes.txt", "öl.txt"):
        old(owner, name)
    for pattern, names in PATTERNS.items():
        result = cleaned(app, owner, name_pattern=pattern, dry_run=True)
        assert {file["filename"] for file in result["files"]} == names, pattern


def test_a_dry_run_only_tells(app: Flask, owner: Person) -> None:
    file_id = old(owner)
    result = cleaned(app, owner, dry_run=True)
    assert (result["dry_run"], result["count"], result["bytes"]) == (True, 1, SIZE)
    assert left(app, file_id) == [True]


def test_0_days_take_everything_and_a_second_run_finds_nothing(app: Flask, owner: Person) -> None:
    store(owner)
    old(owner, days=0.001)
    assert cleaned(app, owner, older_than_days=0)["count"] == 2
    assert cleaned(app, owner, older_than_days=0) == EMPTY


def test_days_may_be_parts_of_a_day(app: Flask, owner: Person) -> None:
    young, gone = old(owner, days=0.4), old(owner, days=0.6)
    assert cleaned(app, owner, older_than_days=0.5)["count"] == 1
    assert left(app, young, gone) == [True, False]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 2)
    monkeypatch.setattr(cleanup, "SCANNED", 3)


def test_many_go_batch_by_batch(app: Flask, owner: Person, small_batches: None) -> None:
    for number in range(7):
        old(owner, days=10 + number % 2)
    result = cleaned(app, owner)
    assert (result["count"], len(result["files"]), result["more"]) == (7, 7, 0)
    assert used(app, owner) == (0, 0)


def test_what_the_result_cannot_hold_is_named_in_the_log(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cleanup, "NAMED_BYTES", 200)
    monkeypatch.setattr(file_cleanup, "NAMES_IN_A_LINE", 2)
    files = [old(owner, f"{number}.txt") for number in range(5)]
    run = run_now(app, owner, plan(owner, dry_run=True))
    result = run["result"]
    assert (result["count"], result["more"]) == (5, 3)
    log = log_of(owner, run["id"])
    named = {file["id"] for file in result["files"]}
    assert all((str(file_id) in named) != (f"{file_id} " in log) for file_id in files)
    deleted = log_of(owner, run_now(app, owner, plan(owner))["id"])
    assert all(f"{file_id} " in deleted for file_id in files)


def test_what_is_named_fits_into_a_result_and_a_line() -> None:
    assert len("Would delete ") + file_cleanup.NAMES_IN_A_LINE * (36 + 1 + 255 + 2) <= MAX_LINE_LENGTH
    assert NAMED_BYTES + 200 < MAX_RESULT_BYTES


def between_batches(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something happen after each batch that was found, before it is deleted."""
    real = cleanup.delete_old_files

    def delete(**values: Any) -> Any:
        act()
        return real(**values)

    monkeypatch.setattr(file_cleanup, "delete_old_files", delete)


def test_a_run_that_is_cancelled_stops_before_the_next_batch(
    app: Flask, owner: Person, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [old(owner) for _ in range(4)]
    some: dict[str, Any] = {"run_id": new_id(), "schedule_id": new_id(), "schedule_name": "Cleaning"}
    context = RunContext(owner_id=owner.id, scheduled_for=clock.now(), attempt=1, **some)
    between_batches(monkeypatch, context.cancel)
    params = FileCleanupParams().load({"older_than_days": 7})
    with app.app_context(), pytest.raises(RunCancelled):
        file_cleanup.clean_up(context, params)
    assert left(app, *files) == [False, False, True, True]
    assert context.reached == {"done": 2, "total": None}
    # It has no result that could name them.
    assert [line.message for line in context.lines] == [f"Deleted {files[0]} old.txt, {files[1]} old.txt"]


def test_what_somebody_else_deletes_meanwhile_is_not_counted(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = old(owner), old(owner)
    between_batches(monkeypatch, lambda: owner.delete(f"/api/files/{theirs}"))
    result = cleaned(app, owner)
    assert [file["id"] for file in result["files"]] == [str(mine)]
    assert used(app, owner) == (0, 0)


def attach(person: Person, **fields: Any) -> UUID:
    """An old file of a new task."""
    return old(person, task_id=UUID(make_task(person, **fields)["id"]))


def test_files_of_open_tasks_stay_unless_it_is_told_otherwise(app: Flask, owner: Person) -> None:
    kept = [attach(owner), attach(owner, status="in_progress")]
    gone = [attach(owner, status="done"), attach(owner, status="cancelled"), old(owner)]
    deleted = make_task(owner)
    gone.append(old(owner, task_id=UUID(deleted["id"])))
    owner.delete(f"/api/tasks/{deleted['id']}")
    assert cleaned(app, owner)["count"] == len(gone)
    assert left(app, *kept, *gone) == [True, True, False, False, False, False]
    assert cleaned(app, owner, attached=True)["count"] == 2
    assert left(app, *kept) == [False, False]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "older_than_days"),
        ({"older_than_days": -1}, "older_than_days"),
        ({"older_than_days": "7"}, "older_than_days"),
        ({"older_than_days": True}, "older_than_days"),
        ({"older_than_days": 1e300}, "older_than_days"),
        ({"older_than_days": 1, "name_pattern": ""}, "name_pattern"),
        ({"older_than_days": 1, "name_pattern": "x" * 256}, "name_pattern"),
        ({"older_than_days": 1, "name_pattern": "a\nb"}, "name_pattern"),
        ({"older_than_days": 1, "dry_run": "perhaps"}, "dry_run"),
        ({"older_than_days": 1, "attached": "perhaps"}, "attached"),
    ],
)
def test_params_that_make_no_sense_are_refused(owner: Person, params: dict[str, Any], field: str) -> None:
    body = {"action": "file_cleanup", "params": params, "cron": "0 0 1 1 *"}
    answer = owner.post("/api/schedules", body)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [f"params.{field}"]


def test_an_admin_may_clean_up_for_all(app: Flask, owner: Person, teammate: Person, admin: Person) -> None:
    files = [old(person) for person in (owner, teammate, admin)]
    assert cleaned(app, admin)["count"] == 1
    assert cleaned(app, admin, all_owners=True)["count"] == 2
    assert left(app, *files) == [False, False, False]
    assert [used(app, person) for person in (owner, teammate, admin)] == [(0, 0)] * 3


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_others_may_not_ask_for_all(owner: Person) -> None:
    body = {"action": "file_cleanup", "params": {"older_than_days": 1}, "cron": "0 0 1 1 *"}
    for_all = {"params": {"older_than_days": 1, "all_owners": True}}
    assert refusal(owner.post("/api/schedules", {**body, **for_all})) == (403, "admin_only")
    path = f"/api/schedules/{plan(owner, all_owners=False)['id']}"
    assert refusal(owner.patch(path, for_all)) == (403, "admin_only")
    assert refusal(owner.post(f"{path}/run", for_all)) == (403, "admin_only")
    reminder = make(owner, every=3600)
    change = {"action": "file_cleanup", **for_all}
    assert refusal(owner.patch(f"/api/schedules/{reminder['id']}", change)) == (403, "admin_only")


def test_who_is_no_admin_any_more_cleans_up_for_nobody(app: Flask, owner: Person) -> None:
    boss = make_person(app, "bea@example.org", role="admin")
    file_id, schedule = old(owner), plan(boss, all_owners=True)
    with app.app_context(), transaction():
        set_role("bea", "user")
    run = run_now(app, boss, schedule)
    assert (run["status"], run["error"]["code"], run["attempt"]) == ("failed", "admin_only", 1)
    assert left(app, file_id) == [True]


def test_an_admins_change_of_anothers_schedule_gives_nobody_more_rights(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    file_id, schedule = old(teammate), plan(owner)
    change = {"params": {"older_than_days": 1, "all_owners": True}}
    assert admin.patch(f"/api/schedules/{schedule['id']}", change).status_code == 200
    assert run_now(app, owner, schedule)["error"]["code"] == "admin_only"
    assert left(app, file_id) == [True]
