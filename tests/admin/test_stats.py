"""GET /api/admin/stats and flask admin stats"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.ops.service import beat
from taskapi.schedules.models import Run
from tests.files.making import replace_object, store
from tests.people import Person
from tests.schedules.making import Time, make
from tests.tasks.making import make_task, path_of
from tests.work import tick

Call = Callable[..., Result]
STATS = "/api/admin/stats"


def read(admin: Person) -> dict[str, Any]:
    answer = admin.get(STATS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_it_counts_people_and_their_work(
    app: Flask, owner: Person, teammate: Person, admin: Person, time: Time
) -> None:
    admin.patch(f"/api/admin/users/{teammate.id}", {"is_active": False})
    make_task(owner)
    make_task(owner, status="done")
    owner.delete(path_of(make_task(owner)))
    make(owner, every=60)
    owner.post(f"/api/schedules/{make(owner, every=60)['id']}/pause")
    time.pass_(seconds=60)
    tick(app)
    found = read(admin)
    assert found["users"] == {"total": 3, "active": 2, "admins": 1, "new_last_7_days": 3}
    assert found["tasks"] == {"todo": 1, "in_progress": 0, "done": 1, "overdue": 0, "cancelled": 0}
    assert found["schedules"] == {"active": 1, "paused": 1, "completed": 0, "cancelled": 0}
    ended = {"completed": 1, "failed": 0, "cancelled": 0, "skipped": 0}
    assert found["runs"] == found["runs_last_24_hours"] == {"pending": 0, "running": 0, **ended}


def test_what_is_old_is_not_new(app: Flask, owner: Person, admin: Person, time: Time) -> None:
    owner.post(f"/api/schedules/{make(owner, every=3600)['id']}/run")
    time.pass_(days=20)
    found = read(admin)
    assert (found["users"]["total"], found["users"]["new_last_7_days"]) == (2, 0)
    assert (found["runs"]["pending"], found["runs_last_24_hours"]["pending"]) == (1, 0)


def test_it_tells_of_the_store(app: Flask, owner: Person, admin: Person) -> None:
    store(owner, b"12345")
    damaged = store(owner, b"1234567")
    replace_object(app, damaged, None)
    owner.post(f"/api/files/{damaged}/verify")
    found = read(admin)
    assert found["files"] == {"count": 2, "bytes": 12, "damaged": 1}
    assert found["storage"] == {"bytes": 12, "undeleted": 0}


def test_it_tells_how_late_runs_begin(app: Flask, owner: Person, admin: Person, time: Time) -> None:
    schedule = make(owner, every=3600)
    for _ in range(3):
        owner.post(f"/api/schedules/{schedule['id']}/run")
    assert [read(admin)["scheduler"][f"lag_{share}_seconds"] for share in ("p50", "p95")] == [None, None]
    with app.app_context(), transaction():
        for late, run in enumerate(session().scalars(sa.select(Run).order_by(Run.id)).all()):
            run.first_started_at = run.due_at + timedelta(seconds=late)
    found = read(admin)["scheduler"]
    assert (found["lag_p50_seconds"], found["lag_p95_seconds"]) == pytest.approx((1.0, 1.9))


def test_it_tells_whether_the_scheduler_is_alive(
    app: Flask, owner: Person, admin: Person, time: Time
) -> None:
    make(owner, every=60)
    assert read(admin)["scheduler"]["last_heartbeat"] is None
    with app.app_context(), transaction():
        beat(name="s1", kind="scheduler")
    time.pass_(seconds=90)
    found = read(admin)["scheduler"]
    assert found["last_heartbeat"] == (clock.now() - timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found["overdue"] == 1


def test_it_tells_what_waits(app: Flask, owner: Person, admin: Person) -> None:
    owner.post(f"/api/schedules/{make(owner, every=60)['id']}/run")
    found = read(admin)
    assert found["queue_depth"] == sum(queue["queued"] for queue in found["queues"]) == 1
    assert found["workers"] == 0


@pytest.mark.usefixtures("redis_away")
def test_while_redis_is_away_only_what_it_knows_is_missing(owner: Person, admin: Person) -> None:
    make_task(owner)
    found = read(admin)
    assert [found[name] for name in ("queues", "queue_depth", "workers")] == [None, None, None]
    assert found["tasks"]["todo"] == 1


def test_the_command_tells_the_same(flask: Call, owner: Person, admin: Person, time: Time) -> None:
    make_task(owner)
    assert json.loads(flask("admin stats --json").stdout) == read(admin)


def test_for_people_it_is_a_table(flask: Call, owner: Person) -> None:
    make_task(owner)
    lines = [line.rsplit(maxsplit=1) for line in flask("admin stats").stdout.splitlines()]
    figures = {what.strip(): value for what, value in lines}
    assert (figures["tasks: todo"], figures["users: total"], figures["workers"]) == ("1", "1", "0")
