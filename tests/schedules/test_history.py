"""The history of runs: filters, order, totals that nobody counts out, bounds of logs and results."""

from itertools import product
from typing import Any

import pytest
from flask import Flask

from taskapi.schedules import run_queries
from taskapi.schedules.actions.base import MAX_LOG_LINES, RunContext
from taskapi.schedules.engine.execution import MAX_RESULT_BYTES
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.schedules.probe import Probe
from tests.work import dispatch_all, tick


@pytest.fixture
def past(app: Flask, owner: Person, time: Time) -> dict[str, Any]:
    """A schedule with four due times, of which one ran, and a run by hand of another."""
    schedule = make(owner, name="Water the plants", every=60, notify=[])
    other = make(owner, name="Feed the cat", cron="0 0 1 1 *", notify=[])
    time.pass_(seconds=245)
    tick(app)
    owner.post(f"/api/schedules/{other['id']}/run")
    tick(app)
    return schedule


# One past for all of them: to live through it takes longer than to ask.
CHOICES: list[tuple[dict[str, Any], int]] = [
    ({}, 5),
    ({"trigger": "manual"}, 1),
    ({"trigger": ["MANUAL", "catch_up"]}, 5 - 1),
    ({"trigger": ["schedule", "manual"]}, 2),
    ({"reason": "catch_up"}, 2),
    ({"reason": ["catch_up", "overlap"]}, 3),
    ({"reason": "Catch_Up"}, 2),
    ({"reason": "owner_inactive"}, 0),
    ({"action": "Reminder"}, 5),
    ({"q": "plants"}, 4),
    ({"q": "PLANTS water"}, 4),
    ({"q": "plants cat"}, 0),
    ({"q": "%"}, 0),
    ({"status": "skipped", "q": "plants", "reason": "overlap"}, 1),
]


def test_filters_choose(owner: Person, past: dict[str, Any]) -> None:
    for query, count in CHOICES:
        answer = owner.get("/api/runs", query_string=query).json
        assert (answer["total"], len(answer["items"])) == (count, count), query


@pytest.mark.one_database
def test_an_action_is_read_in_any_case(owner: Person) -> None:
    made = make(owner, action="REMINDER", params={"message": "Tea"}, every=60)
    assert made["action"] == "reminder"
    assert owner.get("/api/schedules?action=Reminder").json["total"] == 1


@pytest.mark.one_database
def test_a_reason_that_there_is_not_is_refused(owner: Person) -> None:
    answer = owner.get("/api/runs?reason=nothing_such")
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["reason.0"])
    assert "too_late" in answer.json["errors"]["reason.0"][0]


def test_a_search_finds_only_what_one_may_see(teammate: Person, admin: Person, past: dict[str, Any]) -> None:
    assert teammate.get("/api/runs?q=plants").json["total"] == 0
    assert admin.get("/api/runs?q=plants").json["total"] == 4


def test_a_search_that_fits_many_schedules_finds_all_of_their_runs(
    owner: Person, past: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_queries, "MAX_NAMED", 1)
    assert owner.get("/api/runs?q=the").json["total"] == 5


def test_a_range_of_due_times_comes_in_their_order(owner: Person, past: dict[str, Any]) -> None:
    query = {"scheduled_after": "2026-11-20T09:02:00Z", "per_page": 2}
    page = owner.get("/api/runs", query_string=query).json
    items = page["items"]
    while page["next_cursor"]:
        page = owner.get("/api/runs", query_string={"cursor": page["next_cursor"], "per_page": 2}).json
        items += page["items"]
    due = [run["scheduled_for"] for run in items]
    assert len(due) == 4
    assert due == sorted(due, reverse=True)


TOTALS: list[tuple[dict[str, Any], int | None]] = [
    ({}, 5),
    ({"status": "skipped"}, 3),
    ({"status": ["completed", "skipped"]}, 5),
    ({"status": "skipped", "reason": "catch_up"}, 2),
    ({"reason": ["catch_up", "overlap"]}, None),
    ({"action": "reminder"}, None),
]


def test_beyond_the_bound_the_counts_tell_the_total_or_nobody_does(
    owner: Person, admin: Person, past: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_queries, "COUNTED_OUT", 2)
    for (query, total), person in product(TOTALS, (owner, admin)):
        answer = person.get("/api/runs", query_string={**query, "page": 2, "per_page": 1})
        assert answer.json["total"] == total, query
        assert "page=1" in answer.headers["Link"]


def test_the_total_of_one_schedule_includes_what_is_open(
    context: Flask, owner: Person, past: dict[str, Any], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.pass_(seconds=60)
    dispatch_all()
    monkeypatch.setattr(run_queries, "COUNTED_OUT", 2)
    path = f"/api/schedules/{past['id']}/runs"
    assert owner.get(path).json["total"] == 5
    assert owner.get(f"{path}?status=pending&status=skipped").json["total"] == 4


def test_the_last_run_is_none_that_was_left_out_by_hand(
    context: Flask, owner: Person, past: dict[str, Any], time: Time
) -> None:
    path = f"/api/schedules/{past['id']}"
    before = owner.get(path).json
    coming = owner.get(f"{path}/preview?n=3").json["items"][2]["utc"]
    assert owner.post(f"{path}/skip", {"at": coming}).status_code == 200
    after = owner.get(path).json
    assert after["last_run"]["id"] == before["last_run"]["id"]
    assert after["stats"]["skipped"] == before["stats"]["skipped"] + 1


def test_a_long_log_is_cut_and_read_page_by_page(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    def talk(context: RunContext) -> None:
        for number in range(MAX_LOG_LINES + 500):
            context.log(f"line {number}")

    probe.behave = talk
    schedule = make(owner, action="probe", params={}, run_at="2026-11-20T09:00:00Z", notify=[])
    tick(context)
    (run,) = runs_of(owner, schedule)
    page = owner.get(f"/api/runs/{run['id']}/log?per_page=100").json
    lines = page["items"]
    while page["next_cursor"]:
        page = owner.get(f"/api/runs/{run['id']}/log?per_page=100&cursor={page['next_cursor']}").json
        lines += page["items"]
    assert [line["message"] for line in lines[:MAX_LOG_LINES]] == [f"line {n}" for n in range(MAX_LOG_LINES)]
    assert [line["message"] for line in lines[MAX_LOG_LINES:]] == ["The log is cut after 1000 lines."]


def test_a_result_that_is_too_large_is_not_kept(
    context: Flask, owner: Person, time: Time, probe: Probe
) -> None:
    probe.behave = lambda _context: "x" * MAX_RESULT_BYTES
    schedule = make(owner, action="probe", params={}, run_at="2026-11-20T09:00:00Z", notify=[])
    tick(context)
    (run,) = runs_of(owner, schedule)
    assert (run["status"], run["result"]) == ("completed", None)
    (line,) = owner.get(f"/api/runs/{run['id']}/log").json["items"]
    assert line["message"] == "The result of 65538 bytes is too large and was not kept."
