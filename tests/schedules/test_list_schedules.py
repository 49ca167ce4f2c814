"""GET /api/schedules and GET /api/schedules/{id}"""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.schedules.models import Run, Schedule
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.work import tick


def test_one_sees_ones_own_and_an_admin_sees_all(owner: Person, teammate: Person, admin: Person) -> None:
    mine = make(owner, every=60)
    make(teammate, every=60)
    assert [item["id"] for item in owner.get("/api/schedules").json["items"]] == [mine["id"]]
    assert admin.get("/api/schedules").json["total"] == 2


def test_anothers_schedule_answers_like_a_missing_one(owner: Person, teammate: Person) -> None:
    theirs = make(teammate, every=60)
    there = owner.get(f"/api/schedules/{theirs['id']}")
    missing = owner.get("/api/schedules/01a1fb5c-353e-71bc-81c9-7b9fbd7957db")
    assert (there.status_code, there.json["code"]) == (404, "schedule_not_found")
    assert {**there.json, "request_id": ""} == {**missing.json, "request_id": ""}


CHOICES: list[tuple[dict[str, Any], set[str]]] = [
    ({"status": "paused"}, {"two"}),
    ({"status": ["Paused", "active"]}, {"one", "two"}),
    ({"action": "reminder"}, {"one", "two"}),
    ({"action": "webhook"}, set()),
    ({"q": "TW"}, {"two"}),
    ({"q": "%"}, set()),
    ({"next_before": "2026-11-20T09:30:00Z"}, {"one"}),
    ({"next_after": "2026-11-20T09:30:00Z"}, {"two"}),
    ({"last_run_status": "completed"}, set()),
]


def test_filters_choose(owner: Person, time: Time) -> None:
    make(owner, name="one", every=60)
    two = make(owner, name="two", every=3600)
    owner.post(f"/api/schedules/{two['id']}/pause")
    for query, names in CHOICES:
        answer = owner.get("/api/schedules", query_string=query)
        assert {item["name"] for item in answer.json["items"]} == names, query


def test_the_last_run_and_the_statistics_are_shown(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, every=60)
    time.pass_(seconds=61)
    tick(app)
    (item,) = owner.get("/api/schedules", query_string={"last_run_status": "completed"}).json["items"]
    assert item["id"] == schedule["id"]
    assert item["last_run"]["status"] == "completed"
    assert item["stats"] == {"completed": 1}


SORTED = {
    "name": ["a", "b", "c"],
    "-name": ["c", "b", "a"],
    "next_run_at": ["c", "a", "b"],
    "-created_at": ["c", "a", "b"],
}


def test_lists_sort(owner: Person, time: Time) -> None:
    for name, every in (("b", 300), ("a", 200), ("c", 100)):
        make(owner, name=name, every=every)
        time.pass_(seconds=1)
    for sort, names in SORTED.items():
        answer = owner.get("/api/schedules", query_string={"sort": sort})
        assert [item["name"] for item in answer.json["items"]] == names, sort


def test_the_etag_changes_with_a_run(app: Flask, owner: Person, time: Time) -> None:
    path = f"/api/schedules/{make(owner, every=60)['id']}"
    etag = owner.get(path).headers["ETag"]
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 304
    owner.post(f"{path}/run")
    tick(app)
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    "change", [{"last_ping_at": at("2026-11-20 09:00")}, {"fault": "It is broken."}, {"failures_in_row": 1}]
)
def test_the_etag_changes_with_what_people_did_not_change(
    app: Flask, owner: Person, change: dict[str, Any]
) -> None:
    path = f"/api/schedules/{make(owner, every=60)['id']}"
    etag = owner.get(path).headers["ETag"]
    with app.app_context(), transaction():
        session().execute(sa.update(Schedule).values(**change))
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"queued_at": None},
        {"reason": "overlap"},
        {"max_attempts": 4},
        {"finished_at": at("2026-11-20 09:00")},
    ],
)
def test_the_etag_of_a_run_changes_with_each_of_its_steps(
    app: Flask, owner: Person, change: dict[str, Any]
) -> None:
    run = owner.post(f"/api/schedules/{make(owner, every=60)['id']}/run").json
    path = f"/api/runs/{run['id']}"
    etag = owner.get(path).headers["ETag"]
    with app.app_context(), transaction():
        session().execute(sa.update(Run).values(**change))
    assert owner.get(path, headers={"If-None-Match": etag}).status_code == 200
