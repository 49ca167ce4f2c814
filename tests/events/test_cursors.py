"""Tokens: they fit one reader in one role and one database, as long as nothing after them is forgotten."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event, record_event
from taskapi.events.models import AuditHead, EventReader, ForgottenEvents
from taskapi.events.retention import BATCH, forget_old_readers
from taskapi.ops.jobs import forget_old_rows
from tests.events.following import changes, now, relay, told
from tests.people import Person, set_role
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of
from tests.unguarded import unguarded


def gone(person: Person, since: str) -> Any:
    """The problem that says so."""
    answer = person.get("/api/changes", query_string={"since": since})
    assert (answer.status_code, answer.json["code"]) == (410, "changes_expired"), answer.text
    return answer.json


def days_later(days: float, app: Flask) -> None:
    """Do what housekeeping does then."""
    moment = clock.now() + timedelta(days=days)
    with app.app_context(), clock.use(lambda: moment):
        forget_old_readers()


def test_who_was_away_for_longer_than_events_are_kept_begins_anew(app: Flask, owner: Person) -> None:
    since = now(owner)
    make_task(owner, title="Missed")
    relay(owner)
    days_later(91, app)
    problem = gone(owner, since)
    make_task(owner, title="After the lists were fetched")
    assert [data["title"] for _, data in told(owner, problem["next"])] == ["After the lists were fetched"]


def test_who_has_read_everything_misses_nothing_however_long_nothing_happens(
    app: Flask, owner: Person
) -> None:
    make_task(owner)
    message, since = changes(owner)["items"][-1]["id"], now(owner)
    days_later(400, app)
    assert changes(owner, since=since)["items"] == []
    assert changes(owner, since=message)["items"] == []
    assert changes(owner)["items"] == []


def test_only_who_misses_something_is_sent_back(app: Flask, owner: Person) -> None:
    before = now(owner)
    task = make_task(owner)
    between = now(owner)
    with app.app_context(), transaction():
        # Told to nobody: nothing of it can be missed.
        record_event("session.ended", subject=("session", uuid4()), owner_id=owner.id)
    relay(owner)
    days_later(91, app)
    owner.patch(path_of(task), {"title": "Tea"})
    assert [kind for kind, _ in told(owner, between)] == ["task.updated"]
    assert gone(owner, before)["next"]


def test_what_is_younger_is_kept(app: Flask, owner: Person) -> None:
    since = now(owner)
    make_task(owner)
    relay(owner)
    days_later(89, app)
    assert len(told(owner, since)) == 1


def test_zero_days_are_for_ever(app: Flask, owner: Person) -> None:
    since = now(owner)
    make_task(owner)
    relay(owner)
    with settings_changed(app, event_retention_days=0):
        days_later(4_000, app)
    assert len(told(owner, since)) == 1


def test_more_than_a_batch_is_forgotten_and_the_history_stays(context: Flask, owner: Person) -> None:
    task = make_task(owner)
    with transaction():
        for _ in range(BATCH // 2 + 10):
            # Two readers each: the owner, and who sees everything.
            record_event("task.noted", subject=("task", uuid4()), owner_id=owner.id)
    relay(owner)
    days_later(91, context)
    assert session().scalar(sa.select(sa.func.count()).select_from(EventReader)) == 0
    last = session().scalar(sa.select(sa.func.max(Event.position)))
    assert session().scalars(sa.select(ForgottenEvents.position)).all() == [last]
    assert len(owner.get(f"{path_of(task)}/history").json["items"]) == 1


def test_housekeeping_forgets_them(context: Flask, owner: Person) -> None:
    make_task(owner)
    relay(owner)
    later = clock.now() + timedelta(days=91)
    with clock.use(lambda: later):
        forget_old_rows()
    assert session().scalars(sa.select(EventReader)).all() == []


def test_forgetting_stops_at_the_first_that_is_not_old(context: Flask, owner: Person) -> None:
    make_task(owner, title="Old")
    relay(owner)
    old = clock.now() - timedelta(days=100)
    with transaction() as active, unguarded(active.connection()):
        active.execute(sa.update(Event).values(created_at=old))
    make_task(owner, title="Young")
    relay(owner)
    make_task(owner, title="Old, of a machine whose clock is slow")
    relay(owner)
    with transaction() as active, unguarded(active.connection()):
        last = sa.select(sa.func.max(Event.position)).scalar_subquery()
        active.execute(sa.update(Event).where(Event.position == last).values(created_at=old))
    assert forget_old_readers() == 2
    assert [data["title"] for _, data in told(owner)] == ["Young", "Old, of a machine whose clock is slow"]


def test_a_token_is_of_one_reader(owner: Person, teammate: Person) -> None:
    gone(teammate, now(owner))


def test_who_lost_a_role_begins_anew(app: Flask, owner: Person, admin: Person, teammate: Person) -> None:
    message, since = changes_with_one_task(owner, admin)
    with app.app_context(), transaction():
        set_role(admin.email, "user")
    relay(owner)
    problem = gone(admin, since)
    assert gone(admin, message)
    assert told(admin, problem["next"]) == []


def changes_with_one_task(owner: Person, reader: Person) -> tuple[str, str]:
    """The id of the message that tells the reader of a task of the owner's, and the token after it."""
    since = now(reader)
    make_task(owner)
    page = changes(reader, since=since)
    return page["items"][0]["id"], page["next"]


def test_who_got_a_role_begins_anew(context: Flask, owner: Person) -> None:
    make_task(owner)
    page = changes(owner)
    with transaction():
        set_role(owner.email, "admin")
    relay(owner)
    gone(owner, page["next"])
    gone(owner, page["items"][0]["id"])


def test_where_all_see_all_tasks_from_now_on_all_begin_anew(app: Flask, owner: Person) -> None:
    since = now(owner)
    with settings_changed(app, team_sees_tasks=True):
        gone(owner, since)
        since = now(owner)
        assert changes(owner, since=since)["items"] == []
    gone(owner, since)


def test_the_id_of_a_message_that_was_for_others_is_none_of_the_readers(
    owner: Person, teammate: Person
) -> None:
    make_task(owner)
    gone(teammate, changes(owner)["items"][0]["id"])


def test_a_database_that_was_restored_is_another(context: Flask, owner: Person) -> None:
    make_task(owner, title="In the backup")
    in_backup = now(owner)
    make_task(owner, title="Later")
    later = now(owner)
    message = changes(owner)["items"][-1]["id"]
    with transaction() as active, unguarded(active.connection()):
        # As if the backup had been made before the second task, and something else happened since.
        newest = sa.select(sa.func.max(Event.position)).scalar_subquery()
        active.execute(sa.update(Event).where(Event.position == newest).values(id=uuid4()))
    gone(owner, later)
    gone(owner, message)
    assert len(told(owner, in_backup)) == 1


@pytest.mark.one_database
@pytest.mark.parametrize(
    "since",
    [
        "A" * 32,
        "_" * 32,
        "-" * 32,
        "01999999-0000-7000-8000-000000000000",
        "0" * 8 + "-0000" * 3 + "-" + "0" * 12,
    ],
)
def test_what_nobody_gave_out_is_gone(owner: Person, since: str) -> None:
    make_task(owner)
    relay(owner)
    gone(owner, since)


def test_a_token_of_an_empty_log_begins_at_the_beginning(owner: Person) -> None:
    with owner.client.application.app_context(), transaction() as active, unguarded(active.connection()):
        for model in (EventReader, Event, AuditHead):
            active.execute(sa.delete(model))
    since = now(owner)
    make_task(owner)
    assert len(told(owner, since)) == 1


def test_a_closed_account_leaves_no_reader_behind(context: Flask, owner: Person) -> None:
    make_task(owner)
    relay(owner)
    assert owner.delete("/api/auth/me", json={"password": "correct horse battery"}).status_code == 204
    theirs = sa.select(EventReader).where(EventReader.reader_id == owner.id)
    assert session().scalars(theirs).all() == []
