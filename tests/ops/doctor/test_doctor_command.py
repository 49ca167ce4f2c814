"""flask admin doctor"""

import json
import time as real_time
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import Result
from flask import Flask

from taskapi.app import create_app
from taskapi.background.names import Queue
from taskapi.core.db import transaction
from taskapi.ops import service
from taskapi.ops.doctor.examination import CHECKS, Check, examine
from taskapi.ops.doctor.findings import Finding, ok
from tests.conftest import settings_for
from tests.ops.doctor.conftest import serving

Run = Callable[..., Result]


def pretend_processes(app: Flask) -> None:
    redis = app.extensions["taskapi_redis"]
    redis.sadd("rq:workers", "rq:worker:one")
    redis.hset("rq:worker:one", "queues", ",".join(Queue))
    with app.app_context(), transaction():
        service.beat(name="scheduler-1", kind="scheduler")


def run_doctor(flask: Run) -> tuple[int, dict[str, str]]:
    done = flask("admin doctor --json")
    return done.exit_code, {finding["check"]: finding["status"] for finding in json.loads(done.stdout)}


def test_all_is_well(app: Flask, flask: Run, settings: Callable[..., None]) -> None:
    pretend_processes(app)
    with serving(app.wsgi_app) as port:
        settings(public_url=f"http://127.0.0.1:{port}")
        code, found = run_doctor(flask)
    assert found.pop("audit") == "skip"
    assert set(found) == {check.name for check in CHECKS} - {"audit"} | {"mail"}
    # The disk of whoever runs the tests may be nearly full.
    assert {name for name, status in found.items() if status != "ok"} <= {"disk"}
    assert code == 0


def test_each_finding_is_a_line_and_says_what_to_do(app: Flask, flask: Run) -> None:
    done = flask("admin doctor")
    lines = [line for line in done.stdout.splitlines() if line]
    assert len(lines) == len(CHECKS) + 1
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail", "skip"}
    assert all(" -> " in line for line in lines if line.startswith(("warn", "fail")))


def test_a_failure_is_told_by_the_exit_code(app: Flask, flask: Run) -> None:
    code, found = run_doctor(flask)
    assert (code, found["scheduler"], found["workers"]) == (1, "fail", "fail")


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_rest_is_looked_at(app: Flask, flask: Run) -> None:
    code, found = run_doctor(flask)
    assert code == 1
    assert (found["redis"], found["workers"]) == ("fail", "skip")
    assert (found["database"], found["storage"], found["work"]) == ("ok", "ok", "ok")


@pytest.mark.one_database
def test_without_a_database_the_rest_is_looked_at(app: Flask, redis_url: str) -> None:
    values = {"DATABASE_URL": "postgresql://someone:hunter2@127.0.0.1:1/none"}
    data_dir = app.extensions["taskapi_settings"].data_dir
    other = create_app(settings_for(data_dir, redis_url, **values))
    found = {finding.check: finding for finding in examine(other, CHECKS)}
    assert found["database"].status == "fail"
    assert "hunter2" not in found["database"].detail
    skipped = {name for name, finding in found.items() if finding.status == "skip"}
    needing = {"migrations", "clock", "scheduler", "work", "e-mails", "webhooks", "files"}
    assert skipped == needing | {"audit"}
    assert (found["redis"].status, found["storage"].status) == ("ok", "ok")


def look_at(app: Flask, *checks: Check) -> list[Finding]:
    return list(examine(app, checks))


@pytest.mark.one_database
def test_what_hangs_is_given_up_and_the_next_is_looked_at(app: Flask) -> None:
    def hang() -> Finding:
        real_time.sleep(1.0)
        return ok("too late")

    hanging, quick = look_at(app, Check("slow", hang, seconds=0.05), Check("quick", lambda: ok("here")))
    assert (hanging.status, quick.status) == ("fail", "ok")
    assert "0.05 s" in hanging.detail


@pytest.mark.one_database
def test_what_breaks_is_a_finding(app: Flask) -> None:
    def break_() -> Finding:
        raise ZeroDivisionError

    (finding,) = look_at(app, Check("broken", break_))
    assert (finding.status, finding.check) == ("fail", "broken")
    assert "ZeroDivisionError" in finding.detail


@pytest.mark.one_database
def test_what_needs_something_skipped_is_skipped(app: Flask) -> None:
    broken = Check("a", lambda: replace(ok(""), status="fail"))
    found = look_at(
        app, broken, Check("b", lambda: ok(""), needs=["a"]), Check("c", lambda: ok(""), needs=["b"])
    )
    assert [finding.status for finding in found] == ["fail", "skip", "skip"]
