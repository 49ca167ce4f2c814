"""Imports whose workers die, are slow, or meet others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.accounts.models import User
from taskapi.background.names import Queue
from taskapi.clients.storage import current_storage
from taskapi.core.db import read_database_clock, session, transaction
from taskapi.files.sweeping import sweep as sweep_objects
from taskapi.tasks import jobs
from taskapi.tasks.drafts import Drafts
from taskapi.tasks.errors import ExternalIdTaken
from taskapi.tasks.importing import lease, outcomes, running
from taskapi.tasks.importing.models import TaskImport
from taskapi.tasks.models import Task
from tests.people import Person
from tests.tasks.importing import counts, found, import_table, send_table, tasks_of
from tests.work import queued, run_jobs

ROWS = 7
TABLE = "title,external_id\n" + "".join(f"Task {number},{number}\n" for number in range(ROWS))


class Killed(BaseException):
    """As a worker ends that is killed: nobody catches it."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskapi.tasks.importing.rows.BATCH_ROWS", 2)


def let_lease_run_out(app: Flask, import_id: str) -> None:
    with app.app_context(), transaction():
        row = session().get_one(TaskImport, UUID(import_id))
        row.lease_until = read_database_clock() - timedelta(seconds=1)


def key_of(app: Flask, import_id: str) -> str:
    """Of its content in the store."""
    with app.app_context():
        return session().get_one(TaskImport, UUID(import_id)).storage_key


def keys(app: Flask) -> set[str]:
    with app.app_context():
        return {item.key for item in current_storage().walk()}


def sweep(app: Flask) -> None:
    with app.app_context():
        jobs.sweep_imports()


def dies_after(batches: int, function: Callable[..., None]) -> Callable[..., None]:
    """The function, which kills its process instead of being called once more."""
    left = [batches]

    def mortal(*args: object) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        function(*args)

    return mortal


@pytest.mark.parametrize("dry_run", [False, True], ids=["import", "trial"])
def test_what_a_killed_worker_began_is_ended_by_another(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    import_id = send_table(owner, TABLE, dry_run=dry_run).json["id"]
    with monkeypatch.context() as patch:
        patch.setattr(running, "_write", dies_after(2, running._write))
        with pytest.raises(Killed):
            run_jobs(app)
    half = found(owner, import_id)
    assert (half["status"], half["total_rows"], half["done_rows"], half["created"]) == ("running", ROWS, 4, 4)
    sweep(app)
    assert run_jobs(app) == 0
    let_lease_run_out(app, import_id)
    sweep(app)
    run_jobs(app)
    whole = found(owner, import_id)
    assert (whole["status"], whole["done_rows"], counts(whole)) == ("completed", ROWS, {"created": ROWS})
    expected = [] if dry_run else [f"Task {number}" for number in range(ROWS)]
    assert sorted(task["title"] for task in tasks_of(owner)) == expected


def test_a_trial_that_goes_on_knows_what_it_would_have_made(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that comes again is a change also after a slice, and in a batch that is done again it is none."""
    table = "external_id,title\nA,1\nB,2\nC,3\nD,4\nA,5\nE,6\n"
    import_id = send_table(owner, table, dry_run=True).json["id"]
    with monkeypatch.context() as patch:
        patch.setattr(running, "_write", dies_after(2, running._write))
        with pytest.raises(Killed):
            run_jobs(app)
    let_lease_run_out(app, import_id)
    with monkeypatch.context() as patch:
        add, races = outcomes.add, [ExternalIdTaken("Somebody was quicker.")]

        def add_after_a_race(*args: Any) -> None:
            if races:
                raise races.pop()
            add(*args)

        patch.setattr(outcomes, "add", add_after_a_race)
        sweep(app)
        run_jobs(app)
    whole = found(owner, import_id)
    assert (whole["status"], counts(whole)) == ("completed", {"created": 5, "updated": 1})
    assert [(note["row"], note["field"]) for note in whole["warnings"]] == [(6, "external_id")]


def test_a_worker_that_is_killed_in_a_batch_leaves_nothing_of_it(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "add", dies_after(1, outcomes.add))
        with pytest.raises(Killed):
            run_jobs(app)
    assert len(tasks_of(owner)) == found(owner, import_id)["done_rows"] == 2
    let_lease_run_out(app, import_id)
    sweep(app)
    run_jobs(app)
    assert counts(found(owner, import_id)) == {"created": ROWS}


def test_a_slow_worker_that_lost_its_lease_writes_nothing_more(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    write = running._write

    def is_overtaken(*args: object) -> None:
        monkeypatch.setattr(running, "_write", write)
        let_lease_run_out(app, import_id)
        running.work_on(import_id=UUID(import_id))
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "_write", is_overtaken)
    run_jobs(app)
    assert counts(found(owner, import_id)) == {"created": ROWS}
    assert len(tasks_of(owner)) == ROWS


def test_an_import_goes_on_in_slices_between_which_others_come(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SLICE_SECONDS", -1.0)
    import_id = send_table(owner, TABLE).json["id"]
    # A slice for each batch, one that finds the end, and the removal of the content.
    assert run_jobs(app) == 4 + 1 + 1
    assert counts(found(owner, import_id)) == {"created": ROWS}


def test_a_job_that_redis_lost_is_found_again(app: Flask, owner: Person) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    with app.app_context():
        (job,) = queued(Queue.IMPORTS)
        sweep(app)
        assert len(queued(Queue.IMPORTS)) == 1
        job.delete()
        assert queued(Queue.IMPORTS) == []
    sweep(app)
    run_jobs(app)
    assert found(owner, import_id)["status"] == "completed"


def test_somebody_who_is_quicker_with_an_outside_id_is_met_in_the_second_try(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def races(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise ExternalIdTaken
        return Drafts(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("taskapi.tasks.importing.writing.Drafts", races)
    assert counts(import_table(app, owner, TABLE)) == {"created": ROWS}


def test_an_import_that_fails_again_and_again_is_given_up(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    with app.app_context():
        for _ in range(running.MAX_TRIES):
            with transaction():
                assert lease.take(UUID(import_id)) is not None
            let_lease_run_out(app, import_id)
    run_jobs(app)
    job = found(owner, import_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "internal_error")


def test_the_content_is_removed_when_nobody_needs_it_and_not_before(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a pass over the store leaves alone what has just come.
    monkeypatch.setattr("taskapi.files.sweeping.YOUNG", timedelta(hours=-1))
    import_id = send_table(owner, TABLE).json["id"]
    key = key_of(app, import_id)
    with app.app_context():
        sweep_objects(storage=current_storage(), remove=True)
    assert key in keys(app)
    run_jobs(app)
    assert key not in keys(app)


def test_an_import_whose_content_is_gone_fails(app: Flask, owner: Person) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    with app.app_context():
        current_storage().delete(key_of(app, import_id))
    run_jobs(app)
    job = found(owner, import_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_import")


def test_nothing_comes_in_for_somebody_whose_account_was_switched_off(
    app: Flask, owner: Person, admin: Person
) -> None:
    import_id = send_table(owner, TABLE).json["id"]
    with app.app_context(), transaction():
        session().get_one(User, owner.id).is_active = False
    run_jobs(app)
    job = found(admin, import_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "account_inactive")
    assert tasks_of(admin) == []


def test_a_closed_account_has_no_imports(app: Flask, owner: Person, admin: Person) -> None:
    import_table(app, owner, "title\nTea\n")
    key = key_of(app, send_table(owner, TABLE).json["id"])
    assert owner.call("DELETE", "/api/auth/me", {"password": "correct horse battery"}).status_code == 204
    run_jobs(app)
    assert admin.get("/api/tasks/imports").json["items"] == []
    assert key not in keys(app)
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).where(Task.import_id.is_not(None))) == 0
