"""GET /api/admin/queues and `flask admin queues`"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from redis import Redis
from rq.utils import now, utcformat

from taskapi.background.connection import redis_client
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import EXECUTE_RUN, Queue
from tests.admin.test_rq_dashboard import PASSWORD, fail_job
from tests.people import Person

pytestmark = pytest.mark.one_database
Run = Callable[..., Result]
COLUMNS = ["name", "queued", "started", "failed", "scheduled", "oldest_seconds", "working", "workers"]


def pretend_worker(state: str = "busy") -> None:
    fields: dict[Any, Any] = {"queues": "runs,mail", "state": state, "last_heartbeat": utcformat(now())}
    redis_client().hset("rq:worker:w-1", mapping=fields)
    redis_client().sadd("rq:workers", "rq:worker:w-1", "rq:worker:gone")


def queued(admin: Person) -> dict[str, dict[str, Any]]:
    answer = admin.get("/api/admin/queues")
    assert answer.status_code == 200, answer.text
    return {queue["name"]: queue for queue in answer.json["items"]}


def test_each_queue_is_told_of_in_the_order_of_the_workers(admin: Person) -> None:
    queues = queued(admin)
    assert list(queues) == [queue.value for queue in Queue]
    nothing: dict[str, Any] = {
        "queued": 0,
        "started": 0,
        "failed": 0,
        "scheduled": 0,
        "oldest_seconds": None,
        "workers": [],
    }
    assert queues["runs"] == {"name": "runs", **nothing}


def test_what_waits_what_failed_and_who_works_is_told(context: Flask, admin: Person) -> None:
    fail_job()
    enqueue(Queue.RUNS, [JobCall(name=EXECUTE_RUN, args=["id"], job_id="two")])
    redis_client().zadd("rq:wip:mail", {"job:execution": 9e9})
    redis_client().zadd("rq:scheduler:scheduled_jobs", {"housekeeping-x": 9e9})
    pretend_worker()
    queues = queued(admin)
    runs = queues["runs"]
    assert (runs["queued"], runs["failed"], queues["mail"]["started"]) == (2, 1, 1)
    assert queues["housekeeping"]["scheduled"] == 1
    assert 0 <= runs["oldest_seconds"] < 60
    (worker,) = runs["workers"]
    assert (worker["name"], worker["state"]) == ("w-1", "busy")
    assert 0 <= worker["silent_seconds"] < 60
    assert queues["webhooks"]["workers"] == []


def test_only_administrators_are_told(owner: Person) -> None:
    assert owner.get("/api/admin/queues").status_code == 403


def test_while_redis_is_away_both_say_so(app: Flask, admin: Person, flask: Run) -> None:
    there = app.extensions["taskapi_redis"]
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    try:
        answer = admin.get("/api/admin/queues")
        results = [flask("admin queues"), flask("admin queues --failed --json")]
    finally:
        app.extensions["taskapi_redis"] = there
    assert (answer.status_code, answer.json["code"]) == (503, "redis_unavailable")
    for result in results:
        assert result.exit_code == 1
        assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
        assert "valkey.sock" not in result.stdout


def test_the_command_shows_the_same(context: Flask, admin: Person, flask: Run) -> None:
    fail_job()
    pretend_worker()
    assert flask("admin queues").stdout.split()[: len(COLUMNS)] == COLUMNS
    as_json = parsed(flask("admin queues --json"))
    assert [{**queue, "oldest_seconds": None, "workers": None} for queue in as_json] == [
        {**queue, "oldest_seconds": None, "workers": None} for queue in queued(admin).values()
    ]


def test_the_command_shows_what_failed_without_secrets(context: Flask, flask: Run) -> None:
    fail_job()
    (failed,) = parsed(flask("admin queues --failed --json"))
    assert (failed["queue"], failed["id"], failed["description"]) == ("runs", "one", "execute_run an-id")
    assert failed["error"].startswith("redis.exceptions.ConnectionError")
    assert PASSWORD not in flask("admin queues --failed").output


def parsed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found
