"""GET /api/analytics/performance"""

import statistics
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from tests.analytics.conftest import Team
from tests.analytics.making import NOW, insert_tasks
from tests.people import Person


def performance(person: Person, **query: Any) -> list[dict[str, Any]]:
    answer = person.get("/api/analytics/performance", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def expected(person_id: UUID, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    given = [task for task in tasks if task["assignee_id"] == person_id]
    done = [task for task in given if task["status"] == "done"]
    taken = [(task["completed_at"] - task["created_at"]).total_seconds() for task in done]
    return {
        "user_id": str(person_id),
        "assigned": len(given),
        "completed": len(done),
        "rate": len(done) / len(given) if given else None,
        "median_seconds_to_done": pytest.approx(statistics.median(taken), abs=0.001) if taken else None,
    }


@pytest.mark.parametrize("name", ["owner", "teammate", "admin"])
def test_each_person_is_measured_by_what_the_caller_sees(team: Team, name: str) -> None:
    tasks = team.seen_by(name)
    found = performance(team.people[name])
    assert [item["username"] for item in found] == ["ada", "olivia", "tariq"]
    ids = {person.actor.username: person.id for person in team.people.values()}
    for item in found:
        assert {**item, **expected(ids[item["username"]], tasks)} == item


def done_after(person: Person, *seconds: float) -> list[dict[str, Any]]:
    times = [{"created_at": NOW, "completed_at": NOW + timedelta(seconds=taken)} for taken in seconds]
    return [{**time, "status": "done", "creator_id": person.id, "assignee_id": person.id} for time in times]


@pytest.mark.parametrize(
    ("taken", "median"),
    [((0,), 0), ((7.25,), 7.25), ((1, 4), 2.5), ((9, 1, 2), 2), ((1, 1, 3, 10), 2), ((0.001, 0.002), 0.002)],
)
def test_the_median_is_the_middle(app: Flask, owner: Person, taken: tuple[float, ...], median: float) -> None:
    insert_tasks(app, done_after(owner, *taken))
    (item,) = performance(owner)
    assert item["median_seconds_to_done"] == pytest.approx(median, abs=0.0011)


def test_who_was_given_nothing_is_measured_by_nothing(app: Flask, owner: Person) -> None:
    insert_tasks(app, [{"creator_id": owner.id}])
    (item,) = performance(owner)
    assert {**item, "assigned": 0, "completed": 0, "rate": None, "median_seconds_to_done": None} == item


def test_only_tasks_that_were_created_in_the_period_count(app: Flask, owner: Person) -> None:
    rows = done_after(owner, 5, 60)
    rows[0]["created_at"] -= timedelta(days=3)
    insert_tasks(app, rows)
    (item,) = performance(owner, start_date=NOW.date().isoformat())
    assert (item["assigned"], item["median_seconds_to_done"]) == (1, 60)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("username", ["ada", "olivia", "tariq"]),
        ("-username", ["tariq", "olivia", "ada"]),
        ("assigned", ["ada", "tariq", "olivia"]),
        ("-completed", ["tariq", "olivia", "ada"]),
    ],
)
def test_it_is_sorted_as_one_wishes(
    app: Flask, owner: Person, teammate: Person, admin: Person, sort: str, order: list[str]
) -> None:
    given = [{"creator_id": owner.id, "assignee_id": owner.id}] * 3
    insert_tasks(app, [*given, *done_after(owner, 1), *done_after(teammate, 1, 2)])
    assert [item["username"] for item in performance(admin, sort=sort)] == order


def test_a_cursor_goes_on_where_the_page_ended(team: Team) -> None:
    admin = team.people["admin"]
    first = admin.get("/api/analytics/performance?per_page=2&sort=-assigned").json
    second = admin.get("/api/analytics/performance", query_string={"cursor": first["next_cursor"]}).json
    both = [item["assigned"] for item in [*first["items"], *second["items"]]]
    assert (len(both), both, second["next_cursor"]) == (3, sorted(both, reverse=True), None)
