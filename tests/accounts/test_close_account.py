"""DELETE /api/auth/me"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts import closing
from taskapi.accounts.errors import LastAdmin
from taskapi.accounts.models import (
    OneTimeToken,
    RecoveryCode,
    SecondFactor,
    SignInFailures,
    SignInSession,
    User,
)
from taskapi.core import clock
from taskapi.core import closing as registry
from taskapi.core.db import Base, db, session, transaction
from taskapi.core.events import Event
from taskapi.events.models import FailedDelivery
from taskapi.notifications.models import Email, Notification
from taskapi.schedules.engine import outcomes
from taskapi.schedules.engine.claims import claim_run
from tests.accounts.helpers import bearer, body, code, exchange, log_in, register
from tests.notifications.outbox import put_notifications, queue
from tests.people import PASSWORD, Person, make_person
from tests.schedules.making import make
from tests.work import tick


def close(person: Person, password: str = PASSWORD) -> TestResponse:
    return person.delete("/api/auth/me", json={"password": password})


def row_of(app: Flask, person: Person) -> User:
    with app.app_context():
        return session().get_one(User, person.id)


def test_the_right_password_closes_the_account(owner: Person) -> None:
    answer = close(owner)
    assert (answer.status_code, answer.data) == (204, b"")
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")


def test_a_wrong_password_changes_nothing(owner: Person) -> None:
    assert code(close(owner, "wrong password")) == (403, "wrong_password")
    assert owner.get("/api/auth/me").status_code == 200


def test_without_the_password_nothing_happens(owner: Person) -> None:
    assert list(body(owner.delete("/api/auth/me", json={}))["errors"]) == ["password"]


def test_every_token_is_refused_at_once(client: FlaskClient, owner: Person) -> None:
    """The tokens of a deleted user are refused at once, of whatever kind."""
    personal = body(owner.post("/api/auth/tokens", {"name": "x", "scopes": ["read"]}))["token"]
    other = body(log_in(client, owner.email))
    close(owner)
    for token in (owner.access_token, other["access_token"], personal):
        assert client.get("/api/auth/me", headers=bearer(token)).status_code == 401
    for token in (owner.refresh_token, other["refresh_token"]):
        assert exchange(client, token).status_code == 401


def test_the_person_is_forgotten_and_the_row_stays(app: Flask, owner: Person) -> None:
    owner.patch("/api/auth/me", {"full_name": "Olivia O", "avatar_url": "https://a.example/o.png"})
    close(owner)
    user = row_of(app, owner)
    assert (user.email, user.username) == (f"closed-{owner.id}", f"closed-{owner.id}")
    assert (user.full_name, user.avatar_url, user.notification_preferences) == (None, None, {})
    assert (user.is_active, user.password_hash) == (False, "")
    assert user.closed_at is not None


def test_no_event_tells_any_more_who_it_was(app: Flask, client: FlaskClient) -> None:
    register(client, "peter@example.org", full_name="Peter Pan")
    token = body(log_in(client, "peter@example.org"))["access_token"]
    client.delete("/api/auth/me", headers=bearer(token), json={"password": PASSWORD})
    with app.app_context():
        events = session().scalars(sa.select(Event).order_by(Event.id)).all()
        assert events[-1].type == "user.closed"
        assert "peter" not in str([vars(event) for event in events]).lower()


def everything_told() -> str:
    """All that any column of any table holds, in lower case."""
    rows = [row for table in Base.metadata.sorted_tables for row in session().execute(sa.select(table))]
    return repr(rows).lower()


def live_a_little(app: Flask, client: FlaskClient) -> tuple[str, dict[str, Any]]:
    """An account whose owner wrote their names wherever one can; a token, and a schedule that ran."""
    register(client, "Wilma@Quux.example", username="wquux", full_name="Wilma Quux")
    token = body(log_in(client, "wquux"))["access_token"]
    name = {"name": "Wilma Quux, wquux, wilma@quux.example", "notify": ["created", "completed", "failed"]}
    params = {"params": {"message": "Wilma Quux", "to": "wilma@quux.example"}}
    sent = {"action": "reminder", "every": 60, **name, **params}
    client.patch("/api/auth/me", headers=bearer(token), json={"avatar_url": "https://quux.example/w.png"})
    made = client.post("/api/schedules", headers={**bearer(token), "Idempotency-Key": "k"}, json=sent)
    client.post(f"/api/schedules/{body(made)['id']}/run", headers=bearer(token))
    named = {"filename": "Wilma Quux.txt"}
    sent_again = {**bearer(token), "Idempotency-Key": "f"}
    uploaded = client.post("/api/files/raw", headers=sent_again, query_string=named, data=b"Tea\n")
    assert uploaded.status_code == 201
    client.post("/api/auth/tokens", headers=bearer(token), json={"name": "Wilma", "scopes": ["read"]})
    tick(app)
    with app.app_context(), transaction():
        run = session().execute(sa.text("SELECT count(*) FROM run_log_lines")).scalar_one()
        assert run > 0
    return token, body(made)


def test_no_table_tells_any_more_who_it_was(app: Flask, client: FlaskClient) -> None:
    """Closing erases the person from every column, also from what others were sent in their name."""
    token, _made = live_a_little(app, client)
    with app.app_context():
        assert all(name in everything_told() for name in ("wilma@quux.example", "wquux", "wilma quux"))
    answer = client.delete("/api/auth/me", headers=bearer(token), json={"password": PASSWORD})
    assert answer.status_code == 204
    tick(app)
    with app.app_context():
        assert [name for name in ("wilma", "quux") if name in everything_told()] == []
        assert session().scalar(sa.select(sa.func.count()).select_from(FailedDelivery)) == 0


def test_events_that_nobody_heard_of_yet_disturb_nobody(app: Flask, owner: Person) -> None:
    make(owner, every=60, notify=["created"])
    close(owner)
    tick(app)
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(FailedDelivery)) == 0


def test_what_an_attempt_writes_after_the_closing_is_not_kept(app: Flask, owner: Person) -> None:
    owner.post(f"/api/schedules/{make(owner, every=60)['id']}/run")
    with app.app_context(), transaction():
        run_id = session().scalars(sa.text("SELECT id FROM runs")).one()
        run_id = run_id if isinstance(run_id, UUID) else UUID(run_id)
        claimed = claim_run(run_id, worker="w", lease_seconds=60)
        assert claimed is not None
        attempt = claimed.attempt
    assert close(owner).status_code == 204
    with app.app_context(), transaction():
        assert outcomes.complete(run_id=run_id, attempt=attempt, result="olivia") is None
    with app.app_context():
        assert session().execute(sa.text("SELECT status, reason FROM runs")).one() == (
            "cancelled",
            "schedule_cancelled",
        )
        ended = session().scalars(sa.select(Event).where(Event.type == "run.cancelled")).one()
        assert (ended.subject_id, ended.owner_id) == (run_id, owner.id)


def test_what_others_made_stays_as_it_is(app: Flask, owner: Person, teammate: Person) -> None:
    headers = {"Idempotency-Key": "k"}
    sent = {"action": "reminder", "params": {"message": "Tea"}, "every": 60, "name": "Tea"}
    theirs = body(teammate.post("/api/schedules", sent, headers=headers))
    close(owner)
    shown = body(teammate.get(f"/api/schedules/{theirs['id']}"))
    assert (shown["name"], shown["params"], shown["status"]) == ("Tea", {"message": "Tea"}, "active")
    again = teammate.post("/api/schedules", sent, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_who_has_seen_another_version_closes_nothing(owner: Person) -> None:
    owner.patch("/api/auth/me", {"full_name": "Olivia"})
    sent = {"json": {"password": PASSWORD}}
    seen = owner.delete("/api/auth/me", **sent, headers={"If-Match": '"v1"'})
    assert code(seen) == (412, "precondition_failed")
    assert owner.get("/api/auth/me").status_code == 200
    assert owner.delete("/api/auth/me", **sent, headers={"If-Match": '"v2"'}).status_code == 204


def test_one_cannot_sign_in_any_more(client: FlaskClient, owner: Person) -> None:
    close(owner)
    names = (owner.email, "olivia", f"closed-{owner.id}", f"@closed-{owner.id}")
    assert {code(log_in(client, name)) for name in names} == {(401, "invalid_credentials")}
    assert code(log_in(client, f"closed-{owner.id}", "")) == (401, "invalid_credentials")


def test_the_names_are_free_for_others(client: FlaskClient, owner: Person) -> None:
    close(owner)
    assert register(client, owner.email, username="olivia").status_code == 201


def test_a_name_that_looks_like_a_closed_one_stops_nobody(client: FlaskClient, owner: Person) -> None:
    squatted = register(client, "x@example.org", username=f"closed-{owner.id}")
    assert squatted.status_code == 201
    assert close(owner).status_code == 204


def test_a_closed_account_is_in_no_directory(owner: Person, teammate: Person) -> None:
    close(owner)
    shown = body(teammate.get("/api/auth/users"))["items"]
    assert [user["id"] for user in shown] == [str(teammate.id)]


def count(app: Flask, model: type, user_id: UUID) -> int:
    with app.app_context():
        statement = sa.select(sa.func.count()).select_from(model).where(model.user_id == user_id)  # type: ignore[attr-defined]
        return session().execute(statement).scalar_one()


def test_second_factor_and_links_are_deleted(app: Flask, owner: Person) -> None:
    now = clock.now()
    with app.app_context(), transaction():
        session().add(SecondFactor(user_id=owner.id, sealed_secret="x", confirmed_at=now))
        session().add(RecoveryCode(user_id=owner.id, code_hash="x"))
        link = OneTimeToken(user_id=owner.id, purpose="verify_email", token_hash="x", expires_at=now)
        session().add(link)
    close(owner)
    models = (SignInSession, SecondFactor, RecoveryCode, OneTimeToken)
    assert [count(app, model, owner.id) for model in models] == [0, 0, 0, 0]


def test_schedules_are_cancelled_and_every_due_time_has_its_run(app: Flask, owner: Person) -> None:
    make(owner, every=60)
    cancelled = make(owner, every=60)
    owner.post(f"/api/schedules/{cancelled['id']}/cancel")
    close(owner)
    tick(app)
    with app.app_context():
        statuses = session().execute(sa.text("SELECT status, next_run_at FROM schedules")).all()
        asked = session().scalars(sa.select(Event.type).where(Event.type == "schedule.cancelled")).all()
    assert [tuple(row) for row in statuses] == [("cancelled", None)] * 2
    assert len(asked) == 2


def test_nobody_elses_schedules_are_cancelled(owner: Person, admin: Person) -> None:
    theirs = make(owner, every=60)
    make_person(owner.client.application, "second@example.org", role="admin")
    assert close(admin).status_code == 204
    assert body(owner.get(f"/api/schedules/{theirs['id']}"))["status"] == "active"


def test_messages_are_deleted_and_nothing_more_is_mailed(app: Flask, owner: Person, teammate: Person) -> None:
    make(owner, every=60)
    put_notifications(app, owner.id, 2)
    put_notifications(app, teammate.id, 1)
    with app.app_context():
        queue("mine", recipient=owner.email, user_id=owner.id)
        queue("to somebody else", sender_id=owner.id)
        queue("another's", sender_id=teammate.id)
    close(owner)
    tick(app)
    assert [count(app, model, owner.id) for model in (Notification, Email)] == [0, 0]
    assert count(app, Notification, teammate.id) == 1
    with app.app_context():
        assert session().scalars(sa.select(Email.key).where(Email.sender_id.is_not(None))).all() == [
            "another's"
        ]


def test_failures_of_the_account_are_forgotten(app: Flask, owner: Person) -> None:
    with app.app_context(), transaction():
        session().add(SignInFailures(key=f"{owner.id}@192.0.2.1", count=3, since=clock.now()))
    close(owner)
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(SignInFailures)) == 0


def test_the_last_admin_cannot_leave(owner: Person, admin: Person) -> None:
    """The last administrator cannot close their own account."""
    assert code(close(admin)) == (409, "last_admin")
    assert admin.get("/api/auth/me").status_code == 200


def test_an_inactive_admin_does_not_count(app: Flask, admin: Person) -> None:
    second = make_person(app, "second@example.org", role="admin")
    with app.app_context(), transaction():
        session().get_one(User, second.id).is_active = False
    assert code(close(admin)) == (409, "last_admin")


def test_an_admin_with_a_successor_may_leave(app: Flask, admin: Person) -> None:
    make_person(app, "second@example.org", role="admin")
    assert close(admin).status_code == 204


def test_of_two_admins_who_leave_at_once_one_stays(app: Flask, admin: Person) -> None:
    admins = [admin, make_person(app, "second@example.org", role="admin")]
    together = threading.Barrier(2, timeout=20)

    def leave(person: Person) -> None:
        with app.app_context():
            together.wait()
            with transaction():
                closing.close_account(actor=person.actor)

    with ThreadPoolExecutor(2) as threads:
        leaving = [threads.submit(leave, person) for person in admins]
    refusals = [error for one in leaving if (error := one.exception()) is not None]
    assert [type(error) for error in refusals] == [LastAdmin]
    assert sorted(row_of(app, person).is_active for person in admins) == [False, True]


def test_a_part_that_fails_leaves_the_account_as_it_was(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_user_id: UUID, _actor: object) -> None:
        raise RuntimeError("this part cannot be done")

    monkeypatch.setitem(registry._hooks, "broken", fail)
    with app.app_context(), pytest.raises(RuntimeError), transaction():
        closing.close_account(actor=owner.actor)
    with app.app_context():
        db.session.remove()
    assert row_of(app, owner).closed_at is None
    assert owner.get("/api/auth/me").status_code == 200
