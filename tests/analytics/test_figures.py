"""GET /api/analytics"""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from flask import Flask

from tests.analytics.conftest import Team
from tests.analytics.making import insert_tasks
from tests.people import Person, make_person
from tests.schedules.making import at

STATUSES = ("todo", "in_progress", "done", "overdue", "cancelled")


def figures(person: Person, **query: str) -> dict[str, Any]:
    answer = person.get("/api/analytics", query_string=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize("name", ["owner", "teammate", "admin"])
def test_everybody_gets_the_counts_of_what_they_see(team: Team, name: str) -> None:
    seen = team.seen_by(name)
    usernames = {person.id: person.actor.username for person in team.people.values()}
    by_status = Counter(task["status"] for task in seen)
    assert figures(team.people[name]) == {
        "by_status": {status: by_status[status] for status in STATUSES},
        "by_user": dict(Counter(usernames[task["creator_id"]] for task in seen)),
    }


def test_without_tasks_each_status_counts_nothing(owner: Person) -> None:
    assert figures(owner) == {"by_status": dict.fromkeys(STATUSES, 0), "by_user": {}}


def made_at(app: Flask, person: Person, *moments: str) -> None:
    insert_tasks(app, [{"creator_id": person.id, "created_at": at(moment)} for moment in moments])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"start_date": "2026-04-01"}, 3),
        ({"end_date": "2026-04-01"}, 3),
        ({"start_date": "2026-04-01", "end_date": "2026-04-01"}, 2),
        ({"start_date": "2026-04-01T00:00:00+02:00", "end_date": "2026-04-01T21:59:59Z"}, 1),
    ],
)
def test_a_date_is_a_whole_day_where_the_caller_is(app: Flask, query: dict[str, str], count: int) -> None:
    paul = make_person(app, "paul@example.org", timezone="Europe/Paris")
    # In Paris: just before the day, its first and last moments, and the moment after.
    made_at(
        app,
        paul,
        "2026-03-31 21:59:59.999999",
        "2026-03-31 22:00",
        "2026-04-01 21:59:59.999999",
        "2026-04-01 22:00",
    )
    assert sum(figures(paul, **query)["by_status"].values()) == count


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start_date": "2026-04-02", "end_date": "2026-04-01"}, "end_date"),
        ({"start_date": "2026-04-01T10:00:00Z", "end_date": "2026-04-01T09:00:00Z"}, "end_date"),
        ({"start_date": "2026-02-30"}, "start_date"),
        ({"start_date": "2026-04-01T10:00:00"}, "start_date"),
        ({"from": "2026-04-01"}, "from"),
    ],
)
@pytest.mark.parametrize("path", ["", "/performance", "/trends", "/runs"])
def test_a_period_that_is_none_is_refused(
    owner: Person, path: str, query: dict[str, str], field: str
) -> None:
    answer = owner.get(f"/api/analytics{path}", query_string=query)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


def test_figures_are_kept_until_a_task_changes(owner: Person, teammate: Person) -> None:
    assert [owner.get("/api/analytics").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    task = {"title": "Tea", "assignee_id": str(owner.id)}
    assert teammate.post("/api/tasks", task).status_code == 201
    assert figures(owner)["by_user"] == {teammate.actor.username: 1}


def test_the_moment_of_a_bound_belongs_to_the_period_that_begins(app: Flask, owner: Person) -> None:
    moment = datetime.fromisoformat("2026-04-01T12:00:00Z")
    insert_tasks(app, [{"creator_id": owner.id, "created_at": moment}])
    told = [figures(owner, **{bound: "2026-04-01T12:00:00Z"}) for bound in ("start_date", "end_date")]
    assert [sum(found["by_status"].values()) for found in told] == [1, 0]
