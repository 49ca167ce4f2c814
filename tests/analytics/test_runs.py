"""GET /api/analytics/runs"""

import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.schedules.models import Run
from tests.analytics.making import NOW
from tests.people import Person
from tests.schedules.making import make

ENDS = ("completed", "failed", "cancelled", "skipped")


def run_figures(person: Person, **query: Any) -> list[dict[str, Any]]:
    answer = person.get("/api/analytics/runs", query_string=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def insert_runs(app: Flask, person: Person, rows: list[dict[str, Any]]) -> None:
    common: dict[str, Any] = {
        "schedule_id": UUID(make(person, cron="0 0 1 1 *")["id"]),
        "owner_id": person.id,
        "action": "reminder",
        "params": {},
        "trigger": "schedule",
        "status": "completed",
        "max_attempts": 3,
        "timeout": 300.0,
        "retry": {},
        "notify": [],
        "created_at": NOW,
        **dict.fromkeys(("first_started_at", "started_at", "finished_at")),
    }
    for number, row in enumerate(rows):
        due = NOW + timedelta(days=number)
        row.update({**common, "id": new_id(), "scheduled_for": due, "due_at": due, **row})
    with app.app_context(), transaction():
        session().execute(sa.insert(Run), rows)


def random_runs(count: int) -> list[dict[str, Any]]:
    chance = random.Random(6)
    rows = []
    for number in range(count):
        row: dict[str, Any] = {"action": chance.choice(["digest", "webhook"]), "status": chance.choice(ENDS)}
        if row["status"] != "skipped":
            due = NOW + timedelta(days=number)
            started = due + timedelta(microseconds=chance.randrange(9_000_000))
            finished = started + timedelta(microseconds=chance.randrange(90_000_000))
            row |= {"first_started_at": started, "started_at": started, "finished_at": finished}
        rows.append(row)
    return rows


def percentile(values: list[float], share: float) -> float:
    """As SQL's percentile_cont: between two values by their distance."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def milliseconds(rows: list[dict[str, Any]], start: str, end: str) -> dict[str, Any]:
    values = [(row[end] - row[start]).total_seconds() * 1000 for row in rows if row[end]]
    return {f"p{share}": pytest.approx(percentile(values, share / 100), abs=0.51) for share in (50, 95, 99)}


def test_each_action_has_its_rate_and_percentiles(app: Flask, owner: Person) -> None:
    rows = random_runs(120)
    insert_runs(app, owner, rows)
    found = run_figures(owner)
    assert [item["action"] for item in found] == ["digest", "webhook"]
    for item in found:
        runs = [row for row in rows if row["action"] == item["action"]]
        counts = Counter(row["status"] for row in runs)
        assert item == {
            "action": item["action"],
            "total": len(runs),
            **{end: counts[end] for end in ENDS},
            "success_rate": counts["completed"] / (counts["completed"] + counts["failed"]),
            "lag_ms": milliseconds(runs, "due_at", "first_started_at"),
            "duration_ms": milliseconds(runs, "started_at", "finished_at"),
        }


def test_what_never_ran_has_no_percentiles(app: Flask, owner: Person) -> None:
    insert_runs(app, owner, [{"status": "skipped"}, {"status": "pending"}])
    (item,) = run_figures(owner)
    none = dict.fromkeys(("p50", "p95", "p99"))
    assert (item["total"], item["skipped"], item["success_rate"]) == (2, 1, None)
    assert (item["lag_ms"], item["duration_ms"]) == (none, none)


def test_runs_are_their_owners_and_administrators_to_see(
    app: Flask, owner: Person, teammate: Person, admin: Person
) -> None:
    insert_runs(app, owner, [{}, {"status": "failed"}])
    assert run_figures(teammate) == []
    assert [run_figures(person)[0]["success_rate"] for person in (owner, admin)] == [0.5, 0.5]


def test_a_period_means_the_due_times(app: Flask, owner: Person) -> None:
    insert_runs(app, owner, [{}, {}, {}])
    query = {"start_date": "2026-04-16", "end_date": "2026-04-16"}
    assert [item["total"] for item in run_figures(owner, **query)] == [1]


def test_figures_of_runs_are_never_kept(owner: Person) -> None:
    assert "X-Cache" not in owner.get("/api/analytics/runs").headers
