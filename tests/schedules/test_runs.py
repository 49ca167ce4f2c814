"""GET /api/runs, /api/runs/{id}, /api/runs/{id}/log and /api/schedules/{id}/runs"""

from typing import Any

from flask import Flask

from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.work import tick


def test_a_run_tells_when_it_was_due_how_late_it_was_and_its_outcome(
    app: Flask, owner: Person, time: Time
) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=60.25)
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert run["scheduled_for"] == "2026-11-20T09:01:00Z"
    assert run["started_at"] == "2026-11-20T09:01:00.250Z"
    assert (run["status"], run["trigger"], run["lag_ms"], run["duration_ms"]) == (
        "completed",
        "schedule",
        250,
        0,
    )
    assert (run["attempt"], run["max_attempts"], run["error"]) == (1, 3, None)
    assert run["result"] == {"sent_to": ["olivia@example.org"]}
    assert run["worker"]


def test_the_log_holds_what_the_action_said(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, run_at="2026-11-20T09:00:00Z")
    tick(app)
    (run,) = runs_of(owner, schedule)
    (line,) = owner.get(f"/api/runs/{run['id']}/log").json["items"]
    assert line["message"] == "Reminder handed to olivia@example.org."
    assert (line["level"], line["attempt"], line["at"]) == ("info", 1, "2026-11-20T09:00:00Z")


def test_one_sees_ones_own_runs_and_an_admin_all(
    app: Flask, owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    make(owner, run_at="2026-11-20T09:00:00Z")
    tick(app)
    (run,) = owner.get("/api/runs").json["items"]
    assert teammate.get("/api/runs").json["total"] == 0
    assert admin.get("/api/runs").json["total"] == 1
    for path in (f"/api/runs/{run['id']}", f"/api/runs/{run['id']}/log"):
        assert teammate.get(path).json["code"] == "run_not_found"
    assert teammate.get(f"/api/schedules/{run['schedule_id']}/runs").json["code"] == "schedule_not_found"


# One past for all of them: to live through it takes longer than to ask.
CHOICES: list[tuple[dict[str, Any], int]] = [
    ({"status": "completed"}, 1),
    ({"status": ["completed", "SKIPPED"]}, 3),
    ({"action": "reminder"}, 3),
    ({"action": "webhook"}, 0),
    ({"scheduled_before": "2026-11-20T09:02:00Z"}, 1),
    ({"scheduled_after": "2026-11-20T09:02:00Z"}, 2),
    ({"schedule_id": "01a1fb5c-353e-71bc-81c9-7b9fbd7957db"}, 0),
]


def test_filters_choose(app: Flask, owner: Person, time: Time) -> None:
    make(owner, every=60)
    time.pass_(seconds=245)
    tick(app)
    for query, count in CHOICES:
        found = owner.get("/api/runs", query_string={"scheduled_before": "2026-11-20T09:03:30Z", **query})
        assert found.json["total"] == count, query


def test_actions_are_listed_with_their_params(owner: Person) -> None:
    actions = {action["name"]: action for action in owner.get("/api/actions").json["items"]}
    assert {"create_task", "digest", "report", "webhook"} < actions.keys()
    action = actions["reminder"]
    assert action["params"]["required"] == ["message"]
    assert action["params"]["properties"]["to"] == {"type": "string", "format": "email", "maxLength": 254}
    assert action["params"]["additionalProperties"] is False
