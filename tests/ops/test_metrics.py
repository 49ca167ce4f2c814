"""GET /metrics"""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from structlog.testing import capture_logs

from taskapi.app import create_app
from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.db import transaction
from taskapi.core.json import format_time
from taskapi.files.objects import announce_object, discard_objects
from taskapi.ops import audit, counted
from taskapi.ops.service import beat
from taskapi.schedules.engine import claims
from taskapi.version import VERSION
from tests.e2e.conftest import free_port
from tests.files.making import CONTENT, store
from tests.people import Person
from tests.schedules.making import Time, at, make
from tests.work import dispatch_all, tick

SQLITE = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)


@pytest.fixture
def time() -> Iterator[Time]:
    with Time(at("2026-11-20 09:00")).running() as virtual:
        yield virtual


@pytest.fixture
def configured(app: Flask, request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    """A client of an installation with other settings."""
    settings: Settings = app.extensions["taskapi_settings"]
    app.extensions["taskapi_settings"] = replace(settings, **request.param)
    yield app.test_client()
    app.extensions["taskapi_settings"] = settings


def figures(client: FlaskClient) -> dict[str, float]:
    """Each sample as it is written, without its value: ``name{label=value}``."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/plain"
    families = text_string_to_metric_families(answer.text)
    return {_name(sample): sample.value for family in families for sample in family.samples}


def growth(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """By how much each figure has grown; the files in which processes count outlive a test."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _name(sample: Sample) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def test_it_tells_the_version_and_that_nothing_is_wrong(app: Flask, client: FlaskClient) -> None:
    found = figures(client)
    assert found[f"taskapi_build_info{{version={VERSION}}}"] == 1
    assert found["taskapi_runs_overdue"] == 0
    assert found["taskapi_leases_dead"] == 0
    assert found["taskapi_runs_open{status=pending}"] == 0
    assert abs(found["taskapi_clock_offset_seconds"]) < 5
    assert "taskapi_audit_age_seconds" not in found, "none was made yet"


def test_it_tells_of_what_is_overdue_and_of_the_last_audit(
    context: Flask, client: FlaskClient, owner: Person, time: Time
) -> None:
    make(owner, every=60)
    time.pass_(minutes=5)
    audit.audit()
    time.pass_(seconds=7)
    found = figures(client)
    assert found["taskapi_runs_overdue"] == 1
    assert found["taskapi_audit_findings{kind=overdue}"] == 1
    assert found["taskapi_audit_age_seconds"] == 7


def test_a_lease_that_nobody_gives_back_is_counted(
    context: Flask, client: FlaskClient, owner: Person, time: Time
) -> None:
    run = owner.post(f"/api/schedules/{make(owner, every=3600)['id']}/run").json
    with transaction():
        claims.claim_run(UUID(run["id"]), worker="gone", lease_seconds=20)
    time.pass_(seconds=50)
    assert figures(client)["taskapi_leases_dead"] == 0
    time.pass_(seconds=1)
    assert figures(client)["taskapi_leases_dead"] == 1


def test_a_clock_that_is_off_is_shown(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = clock.now
    monkeypatch.setattr(clock, "now", lambda: here() + timedelta(minutes=5))
    assert figures(client)["taskapi_clock_offset_seconds"] == pytest.approx(-300, abs=5)


@pytest.mark.one_database
def test_what_is_free_of_the_disk_is_shown(app: Flask, client: FlaskClient) -> None:
    found = figures(client)
    disk = shutil.disk_usage(app.extensions["taskapi_settings"].data_dir)
    assert found["taskapi_disk_size_bytes"] == disk.total
    assert found["taskapi_disk_free_bytes"] == pytest.approx(disk.free, abs=2**30)


def test_a_scheduler_that_never_ran_is_missed_as_one_that_ended(context: Flask, client: FlaskClient) -> None:
    name = "taskapi_scheduler_heartbeat_age_seconds"
    assert figures(client)[name] == math.inf
    with transaction():
        beat(name="s", kind="scheduler")
    assert figures(client)[name] < 10


def test_it_counts_open_runs(context: Flask, client: FlaskClient, owner: Person, time: Time) -> None:
    make(owner, every=60)
    make(owner, every=60, action="expect_ping", params={"grace": 60})
    time.pass_(seconds=60)
    dispatch_all()
    found = figures(client)
    assert found["taskapi_runs_open{status=pending}"] == 1
    assert found["taskapi_runs_open{status=running}"] == 1


def test_it_shows_how_runs_ended_how_late_they_were_and_how_long_they_took(
    app: Flask, client: FlaskClient, owner: Person
) -> None:
    before = figures(client)
    schedule = make(owner, cron="0 0 1 1 *")
    for _ in range(3):
        owner.post(f"/api/schedules/{schedule['id']}/run")
    tick(app)
    more = growth(before, figures(client))
    assert more["taskapi_runs_total{action=reminder,outcome=completed}"] == 3
    for name in ("lag", "duration"):
        assert more[f"taskapi_run_{name}_seconds_count{{action=reminder}}"] == 3
        assert more[f"taskapi_run_{name}_seconds_bucket{{action=reminder,le=+Inf}}"] == 3
        assert more[f"taskapi_run_{name}_seconds_bucket{{action=reminder,le=30.0}}"] == 3
        assert 0 <= more.get(f"taskapi_run_{name}_seconds_sum{{action=reminder}}", 0) < 30


@pytest.mark.one_database
def test_where_the_time_of_the_boot_is_hidden_no_wrong_start_is_shown(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/health")
    assert "taskapi_process_start_time_seconds{" in client.get("/metrics").text
    monkeypatch.setattr(counted, "_boot_time", lambda: None)
    text = client.get("/metrics").text
    assert "taskapi_process_start_time_seconds{" not in text
    assert "taskapi_process_resident_memory_bytes{" in text


@SQLITE
@pytest.mark.parametrize("configured", [{"metrics_token": "a token"}], indirect=True)
def test_with_a_token_only_who_sends_it_is_told(configured: FlaskClient) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a token"}):
        answer = configured.get("/metrics", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "taskapi_" not in answer.text
    answer = configured.get("/metrics", headers={"Authorization": "Bearer a token"})
    assert answer.status_code == 200


@SQLITE
@pytest.mark.parametrize("configured", [{"environment": "production"}], indirect=True)
def test_in_production_nothing_is_shown_without_a_token(configured: FlaskClient) -> None:
    answer = configured.get("/metrics", headers={"Authorization": "Bearer "})
    assert answer.status_code == 404


def test_it_is_answered_while_redis_is_away(app: Flask, client: FlaskClient, redis_away: None) -> None:
    names = {name.partition("{")[0] for name in figures(client)}
    assert "taskapi_runs_overdue" in names
    assert names & {"taskapi_workers", "taskapi_queue_depth", "taskapi_queue_oldest_seconds"} == set()


def test_what_cannot_be_handed_to_workers_is_overdue(
    context: Flask, client: FlaskClient, owner: Person, time: Time, redis_away: None
) -> None:
    overdue = []
    for _ in range(3):
        make(owner, run_at=format_time(time.now))
        # As the scheduler does, which tries again and again.
        for seconds in (0, 11):
            time.pass_(seconds=seconds)
            dispatch_all()
        overdue.append(figures(client)["taskapi_runs_overdue"])
    assert overdue == [1, 2, 3]


def test_it_tells_how_much_is_stored_and_what_is_wrong_with_it(
    app: Flask, client: FlaskClient, owner: Person, teammate: Person
) -> None:
    assert figures(client)["taskapi_files"] == figures(client)["taskapi_file_bytes"] == 0
    for person, damage in ((owner, None), (owner, "missing"), (teammate, "changed"), (teammate, "changed")):
        store(person, damage=damage)
    with app.app_context():
        announce_object()
        with transaction():
            discard_objects(["0" * 32])
    found = figures(client)
    assert (found["taskapi_files"], found["taskapi_file_bytes"]) == (4, 4 * len(CONTENT))
    kinds = ("missing", "changed", "undeleted")
    assert [found[f"taskapi_file_faults{{kind={kind}}}"] for kind in kinds] == [1, 2, 1]


@pytest.mark.one_database
def test_what_was_counted_is_told_without_the_database(app: Flask, tmp_path: Path) -> None:
    settings: Settings = app.extensions["taskapi_settings"]
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    alone = create_app(replace(settings, database_url=nowhere, db_connect_timeout=1, data_dir=tmp_path))
    client = alone.test_client()
    assert client.get("/health").status_code == 200
    with capture_logs() as lines:
        shown = figures(client)
    assert "metrics.database_away" in [line["event"] for line in lines]
    assert shown["taskapi_database_up"] == 0
    assert shown["taskapi_http_requests_total{method=GET,route=/health,status=200}"] == 1
    assert "taskapi_runs_overdue" not in shown
