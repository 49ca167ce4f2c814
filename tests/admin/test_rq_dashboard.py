"""/admin/rq: what waits in the queues, on a page for administrators"""

import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq.job import Job
from rq.results import Result
from rq_dashboard import web
from werkzeug.test import TestResponse

from taskapi.background.connection import redis_client
from taskapi.background.enqueue import JobCall, enqueue
from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob
from taskapi.environment import Rate
from tests.people import Person

pytestmark = pytest.mark.one_database
PASSWORD = "hunter2"


class Dashboard:
    """Looks at pages with this token as the password."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self.client, self.token = client, token

    def get(self, path: str = "") -> TestResponse:
        return self.client.get(f"/admin/rq{path}", auth=("anybody", self.token))


@pytest.fixture
def admin_token(admin: Person) -> str:
    return token_of(admin, ["admin"])


@pytest.fixture
def dashboard(app: Flask, admin_token: str) -> Dashboard:
    return Dashboard(app.test_client(), admin_token)


@pytest.fixture
def limited(app: Flask) -> Iterator[None]:
    settings = app.extensions["taskapi_settings"]
    app.extensions["taskapi_settings"] = replace(settings, rate_limit_auth=Rate(3, 60))
    yield
    app.extensions["taskapi_settings"] = settings


def token_of(person: Person, scopes: list[str]) -> str:
    token: str = person.post("/api/auth/tokens", {"name": "dashboard", "scopes": scopes}).json["token"]
    return token


def fail_job() -> Job:
    """A job that failed with an exception that tells too much."""
    enqueue(Queue.RUNS, [JobCall(name="taskapi.schedules.jobs.execute_run", args=["an-id"], job_id="one")])
    job = JsonJob.fetch("one", connection=redis_client())
    text = f'Traceback:\n  File "x.py"\nredis.exceptions.ConnectionError: redis://:{PASSWORD}@host refused'
    Result.create_failure(job, ttl=60, exc_string=text, worker_name="w")
    redis_client().zadd("rq:failed:runs", {"one": 9e9})
    return job


def test_an_administrator_sees_it_with_a_token_as_the_password(dashboard: Dashboard) -> None:
    page = dashboard.get()
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "Queued&nbsp;jobs" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert dashboard.get("/").status_code == 200
    assert dashboard.get("/0/view/workers").status_code == 200


def test_an_access_token_does_as_well(client: FlaskClient, admin: Person) -> None:
    assert Dashboard(client, admin.access_token).get().status_code == 200


def test_everybody_else_is_asked_for_a_password_in_the_way_of_browsers(
    client: FlaskClient, owner: Person, admin: Person, admin_token: str
) -> None:
    tokens = (owner.access_token, token_of(owner, ["read"]), token_of(admin, ["read", "write"]), "wrong", "")
    answers = [
        Dashboard(client, token).get(path) for token in tokens for path in ("", "/static/css/main.css")
    ]
    answers.append(client.get("/admin/rq"))
    answers.append(client.get("/admin/rq", headers={"Authorization": f"Bearer {admin_token}"}))
    answers.append(client.get("/admin/rq", headers={"Authorization": "Basic nonsense"}))
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="taskapi", charset="UTF-8"'
        assert answer.mimetype == "application/problem+json"


def test_a_token_that_was_revoked_opens_nothing_any_more(admin: Person, dashboard: Dashboard) -> None:
    assert dashboard.get().status_code == 200
    token_id = admin.get("/api/auth/tokens").json["items"][0]["id"]
    admin.delete(f"/api/auth/tokens/{token_id}")
    assert dashboard.get().status_code == 401


def test_wrong_tokens_are_counted_and_the_right_one_is_let_in(
    limited: None, client: FlaskClient, dashboard: Dashboard
) -> None:
    statuses = [Dashboard(client, "tap_wrong").get().status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert dashboard.get().status_code == 200


def test_it_reads_our_jobs_and_tells_no_secret_of_them(context: Flask, dashboard: Dashboard) -> None:
    fail_job()
    queues = dashboard.get("/0/data/queues.json").json["queues"]  # type: ignore[index]
    assert [(each["count"], each["failed_job_registry_count"]) for each in queues] == [(1, 1)]
    failed = dashboard.get("/0/data/jobs/runs/failed/8/asc/1.json")
    assert failed.json["jobs"][0]["exc_info"].startswith("redis.exceptions.ConnectionError:")  # type: ignore[index]
    job = dashboard.get("/0/data/job/one.json")
    assert job.json["description"] == "execute_run an-id"  # type: ignore[index]
    pages = [dashboard.get(f"/0/view/{path}") for path in ("queues", "jobs", "workers", "job/one")]
    for answer in (failed, job, *pages):
        assert answer.status_code == 200
        assert PASSWORD not in answer.text
        assert "valkey.sock" not in answer.text


class Bomb:
    """What runs when its pickle is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_that_somebody_put_into_redis_is_not_read(
    context: Flask, dashboard: Dashboard, tmp_path: Path
) -> None:
    job = fail_job()
    bomb = pickle.dumps(Bomb(tmp_path / "mark"))
    fields: dict[str, bytes | str] = {"data": bomb, "result": bomb, "meta": bomb}
    redis_client().hset(job.key, mapping=fields)  # type: ignore[arg-type]
    worker: dict[str, str] = {"queues": "runs", "state": "busy", "current_job": "one"}
    redis_client().hset("rq:worker:w", mapping=worker)  # type: ignore[arg-type]
    redis_client().sadd("rq:workers", "rq:worker:w")
    for path in ("job/one", "jobs/runs/failed/8/asc/1", "workers", "queues"):
        dashboard.get(f"/0/data/{path}.json")
        dashboard.get(f"/0/view/{path}")
    assert dashboard.get("/0/data/workers.json").json["workers"][0]["name"] == "w"  # type: ignore[index]
    assert not (tmp_path / "mark").exists()
    pickle.loads(bomb)
    assert (tmp_path / "mark").exists(), "it would have gone off"


def test_nothing_can_be_changed_in_it(context: Flask, client: FlaskClient, dashboard: Dashboard) -> None:
    fail_job()
    dashboard.get()
    rules = context.extensions["taskapi_dashboard"].url_map.iter_rules()
    changing = [str(rule) for rule in rules if "POST" in (rule.methods or ())]
    assert len(changing) == 5
    for path in changing:
        for name, value in (("job_id", "one"), ("queue_name", "runs"), ("registry_name", "failed")):
            path = path.replace(f"<{name}>", value)
        assert dashboard.get(path).status_code == 404
        posted = client.post(f"/admin/rq{path}", auth=("anybody", dashboard.token))
        assert posted.status_code == 405
    assert redis_client().exists("rq:job:one")
    assert redis_client().zscore("rq:failed:runs", "one")


def test_its_scripts_run_and_no_others(dashboard: Dashboard) -> None:
    first, second = dashboard.get(), dashboard.get()
    policy = first.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    scripts = re.findall(r"<script[^>]*>", first.text)
    assert scripts
    assert all(f'nonce="{nonce[1]}"' in script for script in scripts)
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert nonce[1] not in second.text
    assert not re.search(r'(src|href)="(https?:)?//(?!github.com|python-rq.org)', first.text), (
        "all is served here"
    )
    for path in re.findall(r'(?:src|href)="/admin/rq([^"]+\.(?:js|css|ico))"', first.text):
        assert dashboard.get(path).status_code == 200
    assert (
        dashboard.get("/static/js/none.js")
        .headers["Content-Security-Policy"]
        .startswith("default-src 'none'; frame")
    )


@pytest.mark.parametrize(
    "path",
    ["/1/view/queues", "/0/view/job/none", "/0/data/job/none.json", "/0/data/jobs/runs/none/8/asc/1.json",
     "/0/data/jobs/runs/queued/x/asc/y.json", "/0/data/jobs/runs/queued/0/asc/1.json", "/none",
     "/static/../web.py"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(dashboard: Dashboard, path: str) -> None:
    answer = dashboard.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_while_redis_is_away_it_says_so(app: Flask, dashboard: Dashboard) -> None:
    there = app.extensions["taskapi_redis"]
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    try:
        answer = dashboard.get("/0/data/queues.json")
        page = dashboard.get()
    finally:
        app.extensions["taskapi_redis"] = there
    assert answer.status_code == 503
    assert answer.json["code"] == "redis_unavailable"  # type: ignore[index]
    assert "valkey.sock" not in page.text


def test_no_connection_of_its_own_is_opened(monkeypatch: pytest.MonkeyPatch, dashboard: Dashboard) -> None:
    monkeypatch.setattr(web, "from_url", None)
    assert dashboard.get("/0/view/queues").status_code == 200
