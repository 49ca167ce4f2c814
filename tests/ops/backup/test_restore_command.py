"""flask admin restore"""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask_migrate import upgrade

from taskapi.app import create_app
from taskapi.background.connection import redis_client
from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event
from taskapi.core.migrations import head_revision
from taskapi.ops import service
from taskapi.ops.release import read_versions
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import rescue_runs
from tests.conftest import settings_for
from tests.files.making import CONTENT, key_of, replace_object, store
from tests.ops.backup.conftest import in_installation
from tests.people import Person, make_person
from tests.schedules.making import Time, make, runs_of
from tests.work import tick

Run = Callable[..., Result]
Archive = Callable[[], Path]


def content_of(person: Person, file_id: object) -> bytes:
    content: bytes = person.get(f"/api/files/{file_id}/content").data
    return content


def count_tasks(person: Person) -> int:
    total: int = person.get("/api/tasks").json["total"]
    return total


def test_people_find_their_things_in_a_fresh_installation(
    owner: Person, teammate: Person, archive: Archive, fresh: Flask, restore: Run
) -> None:
    task = owner.post("/api/tasks", {"title": "Water the plants", "tags": ["garden"]}).json
    file = store(owner, CONTENT)
    done = restore(fresh, archive())
    assert done.exit_code == 0, done.output
    there = in_installation(fresh, owner)
    assert there.get("/api/tasks?q=plants").json["items"][0]["id"] == task["id"]
    assert content_of(there, file) == CONTENT
    assert in_installation(fresh, teammate).get(f"/api/tasks/{task['id']}").status_code == 404
    with fresh.app_context():
        types = session().scalars(sa.select(Event.type).where(Event.type.like("backup.%"))).all()
    assert types == ["backup.restored"]


def test_a_schedule_goes_on_and_accounts_for_what_was_due_meanwhile(
    owner: Person, archive: Archive, fresh: Flask, restore: Run, time: Time
) -> None:
    schedule = make(owner, every=60, catch_up="all", overlap="allow", notify=[])
    path = archive()
    time.pass_(seconds=180)
    done = restore(fresh, path)
    assert done.exit_code == 0, done.output
    with fresh.app_context():
        tick(fresh)
    runs = runs_of(in_installation(fresh, owner), schedule)
    assert [run["scheduled_for"][14:16] for run in runs] == ["01", "02", "03"]
    assert {run["status"] for run in runs} == {"completed"}


@pytest.mark.one_database
def test_a_run_that_was_in_progress_is_done_again(
    context: Flask, owner: Person, archive: Archive, fresh: Flask, restore: Run, time: Time
) -> None:
    schedule = make(owner, cron="0 0 1 1 *")
    run = owner.post(f"/api/schedules/{schedule['id']}/run").json
    with transaction():
        claims.claim_run(UUID(run["id"]), worker="gone", lease_seconds=20)
    path = archive()
    redis_client().flushdb()
    time.pass_(seconds=60)
    assert restore(fresh, path).exit_code == 0
    with fresh.app_context():
        rescue_runs()
        tick(fresh)
    found = in_installation(fresh, owner).get(f"/api/runs/{run['id']}").json
    assert (found["status"], found["attempt"]) == ("completed", 2)


def test_a_list_that_was_kept_before_is_not_shown_afterwards(
    app: Flask, owner: Person, archive: Archive, fresh: Flask, restore: Run
) -> None:
    path = archive()
    assert restore(fresh, path).exit_code == 0
    there = in_installation(fresh, owner)
    there.post("/api/tasks", {"title": "Made after the backup"})
    assert count_tasks(there) == 1
    assert restore(fresh, path, "--yes").exit_code == 0
    there = in_installation(fresh, owner)
    assert count_tasks(there) == 0
    there.post("/api/tasks", {"title": "Made after the restore"})
    assert there.get("/api/tasks").json["items"][0]["title"] == "Made after the restore"


@pytest.mark.one_database
def test_what_is_there_is_replaced_only_when_asked_for(
    owner: Person, archive: Archive, fresh: Flask, restore: Run
) -> None:
    path = archive()
    with fresh.app_context():
        upgrade()
    other = make_person(fresh, "zoe@example.org")
    store(other)
    done = restore(fresh, path)
    assert done.exit_code == 1
    assert "this installation has 1 users, 1 files: add --yes" in done.stderr
    assert in_installation(fresh, other)

    done = restore(fresh, path, "--yes")
    assert done.exit_code == 0, done.output
    assert in_installation(fresh, owner)
    answer = fresh.test_client().post("/api/auth/login", json={"email": other.email, "password": "x" * 12})
    assert answer.status_code == 401


def test_verify_changes_nothing(owner: Person, archive: Archive, fresh: Flask, restore: Run) -> None:
    store(owner)
    done = restore(fresh, archive(), "--verify")
    assert done.exit_code == 0, done.output
    assert "is whole" in done.stderr
    assert read_versions(fresh.config["SQLALCHEMY_DATABASE_URI"]) == []


@pytest.mark.one_database
def test_damage_of_any_member_is_found(
    app: Flask, owner: Person, archive: Archive, restore: Run, tmp_path: Path
) -> None:
    store(owner)
    path = archive()
    with tarfile.open(path) as tar:
        places = {info.name: info.offset_data + info.size // 2 for info in tar}
    assert len(places) == 5
    for name, place in places.items():
        damaged = tmp_path / "damaged.tar"
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        damaged.write_bytes(content)
        done = restore(app, damaged, "--verify")
        assert done.exit_code == 1, name
        assert len(done.stderr.splitlines()) == 1
        assert "is not what was written once" in done.stderr


@pytest.mark.one_database
def test_damage_of_a_name_is_found(
    app: Flask, owner: Person, archive: Archive, restore: Run, tmp_path: Path
) -> None:
    store(owner)
    path = archive()
    with tarfile.open(path) as tar:
        places = [info.offset + 5 for info in tar]
    for place in places:
        damaged = tmp_path / "damaged.tar"
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        damaged.write_bytes(content)
        assert restore(app, damaged, "--verify").exit_code == 1


@pytest.mark.one_database
@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9], ids=["nothing", "a-tenth", "a-half", "most"])
def test_an_archive_that_was_cut_short_is_refused(
    app: Flask, owner: Person, archive: Archive, fresh: Flask, restore: Run, tmp_path: Path, part: float
) -> None:
    store(owner, b"x" * 100_000)
    path = archive()
    short = tmp_path / "short.tar"
    short.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    done = restore(fresh, short)
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert read_versions(fresh.config["SQLALCHEMY_DATABASE_URI"]) == []


@pytest.mark.one_database
def test_another_archive_is_refused(app: Flask, restore: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as tar:
        tar.add(__file__, "SHA256SUMS")
    assert "is not what was written once" in restore(app, other).stderr
    shutil.copy(__file__, other)
    assert restore(app, other).exit_code == 1


@pytest.mark.one_database
def test_files_that_were_damaged_before_do_not_stop_it(
    app: Flask, owner: Person, archive: Archive, fresh: Flask, restore: Run
) -> None:
    changed, missing, well = store(owner), store(owner), store(owner)
    replace_object(app, changed, b"something else")
    replace_object(app, missing, None)
    done = restore(fresh, archive())
    assert done.exit_code == 0, done.output
    assert f"missing when it was made: {key_of(app, missing)}" in done.stderr
    assert content_of(in_installation(fresh, owner), well) == CONTENT


@pytest.mark.one_database
def test_a_running_service_is_not_replaced(
    context: Flask, archive: Archive, fresh: Flask, restore: Run
) -> None:
    path = archive()
    with fresh.app_context():
        upgrade()
        with transaction():
            service.beat(name="scheduler-1", kind="scheduler")
    done = restore(fresh, path, "--yes")
    assert done.exit_code == 1
    assert "the service is running" in done.stderr


def test_a_backup_of_older_tables_is_upgraded(
    app: Flask, fresh: Flask, restore: Run, tmp_path: Path, redis_url: str
) -> None:
    path = tmp_path / "older.tar"
    group = ["admin", "backup", str(path)]
    with fresh.app_context():
        upgrade(revision="0006")
        assert fresh.test_cli_runner().invoke(args=group).exit_code == 0
        upgrade()
    done = restore(fresh, path, "--yes")
    assert done.exit_code == 0, done.output
    assert read_versions(fresh.config["SQLALCHEMY_DATABASE_URI"]) == [head_revision()]


@pytest.mark.one_database
def test_another_secret_key_is_told(
    app: Flask, archive: Archive, fresh_url: str, restore: Run, tmp_path: Path, redis_url: str
) -> None:
    key = "another secret for tests that is long enough"
    values = {"DATABASE_URL": fresh_url, "SECRET_KEY": key}
    other = create_app(settings_for(tmp_path / "other", redis_url, **values))
    done = restore(other, archive(), "--verify")
    assert "SECRET_KEY is another" in done.stderr
    with other.app_context():
        db.engine.dispose()


@pytest.mark.one_database
def test_a_backup_of_another_kind_of_database_is_refused(
    app: Flask, archive: Archive, restore: Run, tmp_path: Path, redis_url: str
) -> None:
    values = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    other = create_app(settings_for(tmp_path / "other", redis_url, **values))
    done = restore(other, archive())
    assert (done.exit_code, "the backup is of sqlite" in done.stderr) == (1, True)
