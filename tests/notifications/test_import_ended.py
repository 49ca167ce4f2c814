"""What is told of an import, and what is not."""

import pytest
from flask import Flask

from tests.people import Person
from tests.tasks.importing import import_table
from tests.tasks.making import make_task
from tests.work import tick


def told(person: Person) -> list[tuple[str, str, str]]:
    items = person.get("/api/notifications").json["items"]
    return [(item["type"], item["title"], item["message"]) for item in items]


@pytest.mark.parametrize(("dry_run", "title"), [(False, "Imported"), (True, "Checked")])
def test_its_owner_is_told_once_and_assignees_not_of_each_row(
    app: Flask, owner: Person, teammate: Person, dry_run: bool, title: str
) -> None:
    make_task(owner, title="Tea", external_id="1")
    table = "title,assignee,external_id\nTea,tariq,1\nMilk,tariq,2\n,tariq,3\n"
    import_table(app, owner, table, dry_run=dry_run)
    for _ in range(2):
        tick(app)
    message = "Rows: 1 new, 1 changed, 1 with errors."
    assert told(owner) == [("import_completed", f"{title}: tasks.csv", message)]
    assert told(teammate) == []


def test_its_owner_is_told_why_it_failed(app: Flask, owner: Person) -> None:
    import_table(app, owner, 'title\n"' + "never closed " * 20_000)
    tick(app)
    ((kind, title, message),) = told(owner)
    assert (kind, title) == ("import_failed", "Import failed: tasks.csv")
    assert message.endswith("is a quote not closed? Rows: none.")
