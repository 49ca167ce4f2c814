"""Undoing an import."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.ops.jobs import forget_old_rows
from taskapi.tasks.importing import undoing
from taskapi.tasks.importing.models import TaskImport, TaskImportChange
from tests.people import Person
from tests.tasks.importing import HEADER, found, import_table, tasks_of
from tests.tasks.making import make_task, path_of
from tests.work import run_jobs

OLD = {
    "title": "Tea",
    "description": "Green",
    "priority": "low",
    "due_date": "2031-05-01T12:00:00Z",
    "tags": ["Kitchen"],
    "external_id": "A-1",
    "city": "Paris",
}
TABLE = f"{HEADER}\nCoffee,Black,done,high,2032-01-01,tariq,Office,A-1,Rome,false\nMilk,,,,,,,A-2,,\n"


def undo(app: Flask, person: Person, job: dict[str, object]) -> dict[str, object]:
    answer = person.post(f"/api/tasks/imports/{job['id']}/undo")
    assert (answer.status_code, answer.json["status"]) == (202, "undoing"), answer.text
    run_jobs(app)
    return found(person, str(job["id"]))


def shown(task: dict[str, object]) -> dict[str, object]:
    """A task without what rises with each change."""
    return {name: value for name, value in task.items() if name not in ("version", "updated_at")}


def test_all_is_as_it_was_before(app: Flask, owner: Person, teammate: Person) -> None:
    make_task(owner, **OLD)
    before = tasks_of(owner)
    job = import_table(app, owner, TABLE)
    assert [task["title"] for task in tasks_of(teammate)] == ["Coffee"]
    undone = undo(app, owner, job)
    assert (undone["status"], undone["kept"], undone["undo_until"]) == ("undone", 0, None)
    assert [shown(task) for task in tasks_of(owner)] == [shown(task) for task in before]
    assert tasks_of(teammate) == []


def test_what_somebody_changed_since_stays(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, **OLD)
    job = import_table(app, owner, TABLE)
    assert teammate.patch(path_of(task), {"title": "Espresso", "tags": ["Bar"]}).status_code == 200
    undone = undo(app, owner, job)
    assert undone["kept"] == 1
    (now,) = tasks_of(owner)
    assert (now["title"], [tag["name"] for tag in now["tags"]]) == ("Espresso", ["Bar"])
    assert (now["description"], now["status"], now["assignee_id"]) == ("Green", "todo", None)


def test_an_undo_goes_on_after_its_worker_died(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "title,external_id\n" + "".join(f"Task {number},{number}\n" for number in range(5))
    for number in range(2):
        make_task(owner, title="Old", external_id=str(number))
    monkeypatch.setattr(undoing, "BATCH", 1)
    monkeypatch.setattr("taskapi.tasks.importing.running.SLICE_SECONDS", -1.0)
    job = import_table(app, owner, table)
    assert job["status"] == "completed"
    assert undo(app, owner, job)["status"] == "undone"
    assert [task["title"] for task in tasks_of(owner)] == ["Old", "Old"]


def test_the_history_tells_which_import_it_was_and_an_undo_is_not_the_end(app: Flask, owner: Person) -> None:
    old = make_task(owner, **OLD)
    job = import_table(app, owner, TABLE)
    new = next(task for task in tasks_of(owner) if task["id"] != old["id"])
    undo(app, owner, job)
    with app.app_context():
        events = session().scalars(sa.select(Event).order_by(Event.id)).all()
        told = [(event.type, str(event.subject_id), (event.after or {}).get("import_id")) for event in events]
        assert session().scalars(sa.select(TaskImportChange)).all() == []
    tasks = [event for event in told if event[0].startswith("task.")]
    assert tasks == [
        ("task.created", old["id"], None),
        ("task.updated", old["id"], job["id"]),
        ("task.created", new["id"], job["id"]),
        ("task.updated", old["id"], job["id"]),
        ("task.deleted", new["id"], None),
    ]
    steps = [event[0] for event in told if event[0].startswith("import.")]
    assert [step for step in steps if step != "import.progressed"] == [
        "import.created",
        "import.completed",
        "import.undo_requested",
        "import.undone",
    ]
    assert owner.get(path_of(new)).status_code == 404
    assert owner.post(f"{path_of(new)}/restore").status_code == 200


@pytest.mark.parametrize("kind", ["pending", "trial", "nothing", "undone", "too late"])
def test_what_cannot_be_undone_says_so(app: Flask, owner: Person, kind: str) -> None:
    table = "title\n" if kind == "nothing" else "title\nTea\n"
    job = import_table(app, owner, table, dry_run=kind == "trial")
    if kind == "undone":
        undo(app, owner, job)
    with app.app_context(), transaction():
        row = session().get_one(TaskImport, UUID(job["id"]))
        if kind == "pending":
            row.status = "pending"
        if kind == "too late":
            assert row.finished_at is not None
            row.finished_at -= timedelta(days=7, seconds=1)
    answer = owner.post(f"/api/tasks/imports/{job['id']}/undo")
    assert (answer.status_code, answer.json["code"]) == (409, "import_not_undoable")


def test_an_admin_may_undo_and_a_stranger_finds_nothing(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    job = import_table(app, owner, "title\nTea\n")
    assert teammate.post(f"/api/tasks/imports/{job['id']}/undo").status_code == 404
    assert undo(app, admin, job)["status"] == "undone"
    assert tasks_of(owner) == []


def test_how_to_undo_is_forgotten_when_nobody_may_any_more(app: Flask, owner: Person) -> None:
    make_task(owner, **OLD)
    jobs = [import_table(app, owner, TABLE.replace("Coffee", title)) for title in ("Coffee", "Juice")]
    with app.app_context():
        with transaction():
            row = session().get_one(TaskImport, UUID(jobs[0]["id"]))
            assert row.finished_at is not None
            row.finished_at -= timedelta(days=7, seconds=1)
        forget_old_rows()
        left = session().scalars(sa.select(TaskImportChange.import_id)).all()
    assert [str(import_id) for import_id in left] == [jobs[1]["id"]]
