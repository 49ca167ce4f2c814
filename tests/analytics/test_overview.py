"""GET /api/analytics/overview"""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from taskapi.tasks.models import OPEN_STATUSES, PRIORITIES, STATUSES
from tests.analytics.conftest import Team
from tests.analytics.making import NOW, insert_tasks
from tests.people import Person, make_person
from tests.settings import settings_changed


def overview(person: Person) -> dict[str, Any]:
    answer = person.get("/api/analytics/overview")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("name", ["owner", "teammate", "admin"])
def test_everybody_gets_the_overview_of_what_they_see(team: Team, name: str) -> None:
    seen = team.seen_by(name)
    statuses, priorities = (Counter(task[field] for task in seen) for field in ("status", "priority"))
    open_and_due = [task for task in seen if task["due_date"] and task["status"] in OPEN_STATUSES]
    assert overview(team.people[name]) == {
        "total": len(seen),
        "by_status": {status: statuses[status] for status in STATUSES},
        "by_priority": {priority: priorities[priority] for priority in PRIORITIES},
        "overdue": sum(task["due_date"] < NOW for task in open_and_due),
        "due_today": sum(task["due_date"].date() == NOW.date() for task in open_and_due),
        "unassigned": sum(task["assignee_id"] is None for task in seen),
    }


@pytest.mark.usefixtures("now")
def test_today_is_the_day_that_it_is_for_the_caller(app: Flask) -> None:
    # Noon in UTC is midnight in Auckland: the day has just begun there.
    auckland = make_person(app, "aroha@example.org", timezone="Pacific/Auckland")
    late = {"creator_id": auckland.id, "due_date": NOW + timedelta(hours=23)}
    early = {"creator_id": auckland.id, "due_date": NOW - timedelta(hours=1)}
    insert_tasks(app, [late, early])
    assert overview(auckland)["due_today"] == 1


def test_team_visibility_shows_everybody_all(app: Flask, owner: Person, teammate: Person) -> None:
    insert_tasks(app, [{"creator_id": owner.id}])
    assert overview(teammate)["total"] == 0
    with settings_changed(app, team_sees_tasks=True):
        assert overview(teammate)["total"] == 1
