"""GET /api/tasks: filters, sorts, pages"""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.tasks.models import Task
from tests.people import Person, make_person
from tests.schedules.test_races import with_own_client
from tests.tasks.making import make_task, path_of, titles


def move(app: Flask, task: dict[str, Any], **columns: Any) -> None:
    """Have a task's row say something that no request can."""
    with app.app_context(), transaction():
        session().execute(sa.update(Task).where(Task.id == UUID(task["id"])).values(**columns))


def test_everybody_lists_what_they_made_or_are_to_do(owner: Person, teammate: Person, admin: Person) -> None:
    make_task(owner, title="owner's")
    make_task(teammate, title="both's", assignee_id=str(owner.id))
    make_task(teammate, title="teammate's")
    assert titles(owner) == ["both's", "owner's"]
    assert titles(teammate) == ["teammate's", "both's"]
    assert titles(admin) == ["teammate's", "both's", "owner's"]


@pytest.fixture
def some(owner: Person, teammate: Person) -> None:
    """A few tasks that differ in everything, newest last."""
    theirs = {"assignee_id": str(teammate.id)}
    make_task(owner, title="beta", status="in_progress", priority="urgent", due_date="2031-01-01", **theirs)
    make_task(owner, title="Alpha", priority="low", tags=["home"], due_date="2030-05-01T12:00:00Z")
    make_task(owner, title="Älpler", status="done", tags=["Garden"], external_id="7")
    make_task(teammate, title="gamma", assignee_id=str(owner.id), tags=["home", "garden"])


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "todo"}, "Alpha gamma"),
        ({"status": ["DONE", "in_progress"]}, "beta Älpler"),
        ({"status": "completed"}, "Älpler"),
        ({"status": "overdue"}, ""),
        ({"priority": ["low", "urgent"]}, "beta Alpha"),
        ({"tag": "HOME"}, "Alpha gamma"),
        ({"tag": ["home", "garden"]}, "Alpha Älpler gamma"),
        ({"tag": "no such"}, ""),
        ({"external_id": "7"}, "Älpler"),
        ({"due_before": "2030-05-01"}, "Alpha"),
        ({"due_before": "2030-05-01T12:00:00Z"}, ""),
        ({"due_after": "2030-05-01"}, "beta Alpha"),
        ({"due_after": "2030-05-02"}, "beta"),
        ({"due_after": "2030-01-01", "due_before": "2030-12-31", "status": "todo"}, "Alpha"),
        ({"overdue": "true"}, ""),
        ({"overdue": "FALSE"}, "beta Alpha Älpler gamma"),
        ({"created_after": "2100-01-01"}, ""),
        ({"created_before": "2100-01-01", "created_after": "2000-01-01"}, "beta Alpha Älpler gamma"),
        ({"date": "2000-01-01"}, ""),
        ({"q": "alp"}, "Alpha Älpler"),
        ({"q": "alp", "status": "done"}, "Älpler"),
    ],
    ids=str,
)
def test_filters_choose(owner: Person, query: dict[str, Any], found: str) -> None:
    assert titles(owner, sort="created_at", **query) == found.split()


@pytest.mark.usefixtures("some")
def test_people_and_tags_are_named_by_their_ids(owner: Person, teammate: Person) -> None:
    ids = {"owner": str(owner.id), "teammate": str(teammate.id)}
    home = next(tag for task in owner.get("/api/tasks?tag=home").json["items"] for tag in task["tags"])
    for query, found in (
        ({"assignee_id": ids["teammate"]}, ["beta"]),
        ({"assignee_id": [ids["teammate"], ids["owner"]]}, ["beta", "gamma"]),
        ({"creator_id": ids["teammate"]}, ["gamma"]),
        ({"user_id": ids["teammate"]}, ["beta", "gamma"]),
        ({"tag": home["id"]}, titles(owner, tag=home["name"], sort="created_at")),
    ):
        assert titles(owner, sort="created_at", **query) == found


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("created_at", "beta Alpha Älpler gamma"),
        ("-created_at", "gamma Älpler Alpha beta"),
        ("updated_at", "beta Alpha Älpler gamma"),
        ("title", "Alpha Älpler beta gamma"),
        ("-title", "gamma beta Älpler Alpha"),
        ("due_date", "Alpha beta Älpler gamma"),
        ("priority", "Alpha Älpler gamma beta"),
        ("-priority", "beta gamma Älpler Alpha"),
        ("status", "Alpha gamma beta Älpler"),
    ],
)
def test_sorts_order_the_same_on_both_databases(owner: Person, sort: str, order: str) -> None:
    assert titles(owner, sort=sort) == order.split()
    paged: list[str] = []
    query: dict[str, Any] = {"sort": sort, "per_page": 1}
    while True:
        page = owner.get("/api/tasks", query_string=query).json
        paged += [task["title"] for task in page["items"]]
        if page["next_cursor"] is None:
            break
        query = {"cursor": page["next_cursor"], "per_page": 1}
    assert paged == order.split()


def test_overdue_goes_by_the_clock(app: Flask, owner: Person) -> None:
    late = make_task(owner, title="late", due_date="2020-01-01")
    make_task(owner, title="done", due_date="2020-01-01", status="done")
    make_task(owner, title="later", due_date="2100-01-01")
    make_task(owner, title="some day")
    assert titles(owner, overdue="true") == ["late"]
    assert titles(owner, overdue="false", sort="created_at") == ["done", "later", "some day"]
    move(app, late, status="overdue")
    assert titles(owner, overdue="true", priority="medium") == ["late"]


def test_what_falls_due_is_overdue_though_nobody_changed_anything(app: Flask, owner: Person) -> None:
    task = make_task(owner, due_date="2100-01-01")
    assert titles(owner, overdue="true") == []
    # Behind the back of everything that makes kept answers old, as the clock goes on.
    move(app, task, due_date=clock.now() - timedelta(seconds=1))
    assert titles(owner, overdue="true") == [task["title"]]


def test_a_plain_date_is_a_day_where_the_caller_is(app: Flask) -> None:
    person = make_person(app, "kai@example.org", timezone="Pacific/Auckland")
    task = make_task(person, title="late at night")
    # Half past midnight there, still the day before in UTC.
    move(app, task, created_at=clock.now().replace(year=2026, month=3, day=31, hour=11, minute=30))
    assert titles(person, date="2026-04-01") == ["late at night"]
    assert titles(person, date="2026-03-31") == []
    assert titles(person, created_after="2026-04-01", created_before="2026-04-01") == ["late at night"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    "query",
    [
        {"stauts": "todo"},
        {"status": "nearly"},
        {"priority": ""},
        {"assignee_id": "me"},
        {"date": "2026-04-01T00:00:00Z"},
        {"date": "2026-02-30"},
        {"due_before": "soon"},
        {"overdue": "perhaps"},
        {"sort": "description"},
        {"q": ""},
        {"q": "x" * 201},
        {"tag": ""},
        {"per_page": "101"},
    ],
    ids=lambda query: next(iter(query)) + "=" + next(iter(query.values()))[:12],
)
def test_what_makes_no_sense_is_refused(owner: Person, query: dict[str, str]) -> None:
    answer = owner.get("/api/tasks", query_string=query)
    assert (answer.status_code, [name.split(".")[0] for name in answer.json["errors"]]) == (422, list(query))


@pytest.mark.one_database
def test_the_pages_are_linked(owner: Person) -> None:
    for number in range(5):
        make_task(owner, title=str(number))
    page = owner.get("/api/tasks?page=2&per_page=2&status=todo&status=done")
    assert [task["title"] for task in page.json["items"]] == ["2", "1"]
    assert (page.json["page"], page.json["per_page"], page.json["total"]) == (2, 2, 5)
    assert 'rel="next"' in page.headers["Link"]
    assert 'rel="prev"' in page.headers["Link"]
    beyond = owner.get("/api/tasks?page=9&per_page=2").json
    assert (beyond["items"], beyond["total"], beyond["next_cursor"]) == ([], 5, None)


def test_a_cursor_belongs_to_its_list_and_filters(owner: Person, teammate: Person) -> None:
    for _ in range(2):
        make_task(owner, assignee_id=str(teammate.id))
    cursor = owner.get("/api/tasks?per_page=1&status=todo").json["next_cursor"]
    for refused in (
        teammate.get(f"/api/tasks?cursor={cursor}"),
        owner.get(f"/api/tasks?cursor={cursor}&status=done"),
        owner.get(f"/api/tasks?cursor={cursor[:-2]}"),
    ):
        assert refused.json["code"] == "invalid_cursor"


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "title"])
def test_a_cursor_misses_nothing_and_repeats_nothing_while_others_write(
    app: Flask, owner: Person, sort: str
) -> None:
    there = [make_task(owner, title=f"{number % 3}") for number in range(12)]
    over = threading.Event()

    def write() -> None:
        person, number = with_own_client(app, owner), 0
        while not over.is_set():
            make_task(person, title=f"{number % 4}")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen, page = [], owner.get(f"/api/tasks?per_page=2&sort={sort}").json
        for _ in range(100):
            seen += [task["id"] for task in page["items"]]
            if page["next_cursor"] is None or len(seen) > 150:
                break
            page = owner.get(f"/api/tasks?per_page=2&cursor={page['next_cursor']}").json
    finally:
        over.set()
        writer.join(timeout=20)
    assert len(seen) == len(set(seen))
    assert {task["id"] for task in there} <= set(seen)


def test_a_page_costs_the_same_number_of_statements_however_many_it_holds(
    app: Flask, owner: Person, statements: list[str]
) -> None:
    make_task(owner, tags=["home"])
    owner.get("/api/tasks?per_page=1")
    statements.clear()
    titles(owner)
    few = len(statements)
    for number in range(6):
        make_task(owner, tags=["home", str(number)])
    statements.clear()
    assert len(titles(owner)) == 7
    assert len(statements) == few


def test_a_task_that_was_changed_moves_to_the_end_of_what_changed_last(owner: Person) -> None:
    first, _second = make_task(owner, title="first"), make_task(owner, title="second")
    owner.patch(path_of(first), {"priority": "low"})
    assert titles(owner, sort="-updated_at") == ["first", "second"]
