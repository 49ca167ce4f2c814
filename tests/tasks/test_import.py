"""Importing a table of tasks."""

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.tasks.models import Tag
from tests.people import Person, make_person
from tests.tasks.importing import HEADER, counts, found, import_table, send_table, tasks_of
from tests.tasks.making import make_task


def test_each_row_becomes_a_task(app: Flask, owner: Person, teammate: Person) -> None:
    table = (
        f"{HEADER}\n"
        "Tea,Green,done,high,2031-05-01T12:00:00Z,tariq@example.org,Kitchen; Shopping,A-1,Paris,false\n"
        'Milk,"Two\nbottles",,,,,,,,\n'
    )
    job = import_table(app, owner, table)
    assert job["status"] == "completed"
    assert (job["total_rows"], job["done_rows"], counts(job)) == (2, 2, {"created": 2})
    assert (job["errors"], job["warnings"], job["error"], job["ignored_columns"]) == ([], [], None, [])
    tea, milk = sorted(tasks_of(owner), key=lambda task: str(task["title"]), reverse=True)
    assert (tea["title"], tea["description"], tea["status"], tea["priority"]) == (
        "Tea",
        "Green",
        "done",
        "high",
    )
    assert (tea["due_date"], tea["assignee_id"]) == ("2031-05-01T12:00:00Z", str(teammate.id))
    assert [tag["name"] for tag in tea["tags"]] == ["Kitchen", "Shopping"]
    assert (tea["external_id"], tea["city"], tea["notify_overdue"]) == ("A-1", "Paris", False)
    assert (milk["title"], milk["description"], milk["status"]) == ("Milk", "Two\nbottles", "todo")
    assert (milk["priority"], milk["due_date"], milk["tags"]) == ("medium", None, [])


def test_an_import_waits_for_a_worker_and_says_where_to_look(app: Flask, owner: Person) -> None:
    answer = send_table(owner, "title\nTea\n", "Über.csv")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/tasks/imports/{answer.json['id']}"
    assert (answer.json["status"], answer.json["filename"]) == ("pending", "Über.csv")
    assert (answer.json["total_rows"], answer.json["done_rows"]) == (None, 0)
    assert tasks_of(owner) == []


def test_a_wrong_row_is_told_with_its_place_and_the_others_come_in(app: Flask, owner: Person) -> None:
    table = (
        "Task Name,PRIORITY,When,Due\n"
        "Tea,low,x,2031-01-01\n,high,x,\nMilk,soon,x,4/5/2031\nEggs,low\n\nOil,low,x,\n"
    )
    job = import_table(app, owner, table)
    assert counts(job) == {"created": 2, "failed": 3}
    assert [(note["row"], note["field"]) for note in job["errors"]] == [
        (3, "Task Name"),
        (4, "PRIORITY"),
        (4, "Due"),
        (5, None),
    ]
    assert "has 2 cells, the header 4" in job["errors"][3]["message"]
    assert job["ignored_columns"] == ["When"]
    assert sorted(task["title"] for task in tasks_of(owner)) == ["Oil", "Tea"]


def test_of_a_project_of_todoist_the_tasks_come_in(app: Flask, owner: Person, teammate: Person) -> None:
    table = (
        "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE\n"
        "meta,view_style=board,,,,,,,,\n"
        "section,Kitchen,,,,,,,,\n"
        "task,Tea,Green,1,1,Kai (48151623),tariq (7),Oct 5 2031,en,Europe/London\n"
        "note,The loose one,,,,Kai (48151623),,,,\n"
        ",,,,,,,,,\n"
        "task,Milk,,4,2,Kai (48151623),,2031-10-06,en,Europe/London\n"
    )
    job = import_table(app, owner, table)
    assert (job["total_rows"], counts(job), job["errors"]) == (5, {"created": 2}, [])
    assert [(note["row"], note["field"]) for note in job["warnings"]] == [
        (2, "TYPE"),
        (3, "TYPE"),
        (5, "TYPE"),
    ]
    found = {task["title"]: (task["priority"], task["assignee_id"]) for task in tasks_of(owner)}
    assert found == {"Tea": ("urgent", str(teammate.id)), "Milk": ("low", None)}


@pytest.mark.one_database
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_row_that_changes_the_task_of_an_earlier_one_is_told(
    app: Flask, owner: Person, *, dry_run: bool
) -> None:
    table = "id,external_id,creator,title\n1,A,olivia,Tea\n2,A,tariq,Milk\n3,B,tariq,Eggs\n"
    job = import_table(app, owner, table, dry_run=dry_run)
    assert counts(job) == {"created": 2, "updated": 1}
    assert [(note["row"], note["field"]) for note in job["warnings"]] == [(3, "external_id")]
    again = import_table(app, owner, "external_id,title\nA,Milk\n", dry_run=dry_run)
    assert again["warnings"] == []


@pytest.mark.one_database
def test_a_type_that_others_write_means_nothing(app: Flask, owner: Person) -> None:
    job = import_table(app, owner, "Type,Title\nNote,Tea\n")
    assert (counts(job), job["ignored_columns"]) == ({"created": 1}, ["Type"])


@pytest.mark.one_database
def test_of_several_people_the_first_is_to_do_it(app: Flask, owner: Person, teammate: Person) -> None:
    job = import_table(app, owner, 'title,Assignees\nTea,"tariq,olivia"\n')
    assert (counts(job), job["warnings"]) == ({"created": 1}, [])
    assert tasks_of(owner)[0]["assignee_id"] == str(teammate.id)


def test_control_characters_are_the_fault_of_their_row(app: Flask, owner: Person) -> None:
    job = import_table(app, owner, 'title,notes\nTea,\0\nMilk\x07,\n"Two\nlines",\n')
    assert counts(job) == {"created": 1, "failed": 2}
    assert [(note["row"], note["field"]) for note in job["errors"]] == [(2, "notes"), (3, "title")]
    assert [task["title"] for task in tasks_of(owner)] == ["Two lines"]


def test_a_trial_tells_the_same_and_writes_nothing(app: Flask, owner: Person) -> None:
    make_task(owner, title="Old", external_id="1")
    table = "title,external_id,assignee,tags,city\nNew,1,,,\nTea,2,nobody,Kitchen,\nTea,2,,,\n,3,,,Paris\n"
    trial = import_table(app, owner, table, dry_run=True)
    assert [task["title"] for task in tasks_of(owner)] == ["Old"]
    with app.app_context():
        assert session().scalars(sa.select(Tag)).all() == []
    job = import_table(app, owner, table)
    assert trial["dry_run"] is True
    assert counts(trial) == counts(job) == {"created": 1, "updated": 2, "failed": 1}
    assert (trial["errors"], trial["warnings"]) == (job["errors"], job["warnings"])
    assert trial["undo_until"] is None


def test_a_second_import_changes_only_what_differs(app: Flask, owner: Person) -> None:
    table = f"{HEADER}\nTea,Green,overdue,high,2020-05-01,,Kitchen,A-1,,\nMilk,,todo,,,,,A-2,,\n"
    import_table(app, owner, table)
    before = {task["title"]: task["version"] for task in tasks_of(owner)}
    assert counts(import_table(app, owner, table)) == {"unchanged": 2}
    assert {task["title"]: task["version"] for task in tasks_of(owner)} == before
    assert counts(import_table(app, owner, table.replace("Milk,,", "Milk,Cold,"))) == {
        "updated": 1,
        "unchanged": 1,
    }
    assert {task["title"]: task["description"] for task in tasks_of(owner)}["Milk"] == "Cold"


def test_people_are_found_by_any_name_or_as_the_form_tells(
    app: Flask, owner: Person, teammate: Person
) -> None:
    table = "title,assigned_user_id\n" + "".join(
        f"{name},{name}\n" for name in ("TARIQ@example.org", "Tariq", "@tariq", str(teammate.id), "17", "18")
    )
    job = import_table(app, owner, table, form={"people": '{"17": "tariq"}'})
    assigned = {task["title"] for task in tasks_of(owner) if task["assignee_id"] == str(teammate.id)}
    assert assigned == {"TARIQ@example.org", "Tariq", "@tariq", str(teammate.id), "17"}
    assert counts(job) == {"created": 6}
    assert [(note["row"], note["field"]) for note in job["warnings"]] == [(7, "assigned_user_id")]
    assert "18" in job["warnings"][0]["message"]


def test_when_a_task_was_made_and_done_elsewhere_is_kept(app: Flask, owner: Person) -> None:
    table = (
        "title,done,created_at,completed_at\n"
        "Tea,true,2019-01-01T08:00:00Z,2019-01-02T08:00:00Z\n"
        "Milk,false,2999-01-01,2019-01-02\n"
    )
    job = import_table(app, owner, table)
    tea, milk = tasks_of(owner)
    assert (tea["status"], tea["created_at"], tea["completed_at"]) == (
        "done",
        "2019-01-01T08:00:00Z",
        "2019-01-02T08:00:00Z",
    )
    assert (milk["status"], milk["completed_at"]) == ("todo", None)
    assert milk["created_at"] < "2100"
    assert [(note["row"], note["field"]) for note in job["warnings"]] == [(3, "created_at")]


def test_dates_are_those_of_the_owners_day(app: Flask) -> None:
    person = make_person(app, "pia@example.org", timezone="Europe/Paris")
    import_table(app, person, "title,due\nTea,2031-01-15\n")
    assert tasks_of(person)[0]["due_date"] == "2031-01-15T22:59:59Z"


def test_only_the_first_thousand_errors_are_kept(app: Flask, owner: Person) -> None:
    job = import_table(app, owner, "title,priority\n" + "Tea,soon\n" * 1_003)
    assert (len(job["errors"]), job["more_errors"], job["failed"]) == (1_000, 3, 1_003)


def test_a_header_alone_is_an_import_of_nothing(app: Flask, owner: Person) -> None:
    job = import_table(app, owner, "title\n")
    assert (job["status"], job["total_rows"], counts(job)) == ("completed", 0, {})


def test_what_is_found_out_late_fails_before_anything_is_written(app: Flask, owner: Person) -> None:
    rows = "".join(f"Task {number},x\n" for number in range(10_000))
    job = import_table(app, owner, f'title,notes\n{rows}Tea,"{"never closed " * 20_000}')
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_import")
    assert "Row 10002" in job["error"]["message"]
    assert tasks_of(owner) == []


def test_others_find_no_import_and_an_admin_all(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    job = import_table(app, owner, "title\nTea\n")
    path = f"/api/tasks/imports/{job['id']}"
    answer = teammate.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, "import_not_found")
    assert teammate.get("/api/tasks/imports").json["items"] == []
    for person in (owner, admin):
        assert person.get(path).json["id"] == job["id"]
        assert [item["id"] for item in person.get("/api/tasks/imports").json["items"]] == [job["id"]]


def test_the_same_key_imports_once(app: Flask, owner: Person) -> None:
    first, again, other = (
        send_table(owner, f"title\n{title}\n", headers={"Idempotency-Key": "one"})
        for title in ("Tea", "Tea", "Milk")
    )
    assert again.json["id"] == first.json["id"]
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    found(owner, first.json["id"])


@pytest.mark.one_database
def test_people_must_be_an_object_of_names(owner: Person) -> None:
    for people in ("[]", "17", '{"17": 4}', "{"):
        answer = send_table(owner, "title\nTea\n", form={"people": people})
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["people"])
