"""PUT and PATCH /api/admin/users/{id}"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts import administration, deletion
from taskapi.accounts.errors import LastAdmin
from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from tests.accounts.helpers import bearer, body, code, exchange, log_in
from tests.admin.managing import user_path
from tests.people import Person, make_person


def personal_token(person: Person) -> str:
    answer = person.post("/api/auth/tokens", {"name": "x", "scopes": ["read"]})
    return str(answer.json["token"])


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_what_is_sent_changes(owner: Person, admin: Person, method: str) -> None:
    before = admin.get(user_path(owner)).json
    answer = admin.call(method, user_path(owner), {"full_name": "Olivia O", "email_verified": True})
    changed = {name: value for name, value in answer.json.items() if before[name] != value}
    assert changed == {"full_name": "Olivia O", "email_verified": True, "version": before["version"] + 1}


def test_a_promoted_user_is_an_admin_at_once(owner: Person, admin: Person) -> None:
    assert admin.patch(user_path(owner), {"role": "Admin"}).json["role"] == "admin"
    assert owner.get(user_path(admin)).status_code == 200


def test_a_demoted_admin_is_signed_out(app: Flask, admin: Person) -> None:
    second = make_person(app, "second@example.org", role="admin")
    token = personal_token(second)
    admin.patch(user_path(second), {"role": "user"})
    assert code(second.get("/api/auth/me")) == (401, "token_revoked")
    assert body(second.client.get("/api/auth/me", headers=bearer(token)))["role"] == "user"


def test_who_is_switched_off_is_out_at_once_and_for_good(
    client: FlaskClient, owner: Person, admin: Person
) -> None:
    token = personal_token(owner)
    assert admin.patch(user_path(owner), {"is_active": False}).json["is_active"] is False
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")
    assert exchange(client, owner.refresh_token).status_code == 401
    assert client.get("/api/auth/me", headers=bearer(token)).status_code == 401
    assert code(log_in(client, owner.email)) == (401, "invalid_credentials")
    admin.patch(user_path(owner), {"is_active": True})
    # The session has ended; a program's token goes on.
    assert owner.get("/api/auth/me").status_code == 401
    assert client.get("/api/auth/me", headers=bearer(token)).status_code == 200
    assert log_in(client, owner.email).status_code == 200


def test_who_has_seen_another_version_changes_nothing(owner: Person, admin: Person) -> None:
    tag = admin.get(user_path(owner)).headers["ETag"]
    admin.patch(user_path(owner), {"full_name": "Olivia"})
    stale = admin.patch(user_path(owner), {"role": "admin"}, headers={"If-Match": tag})
    assert code(stale) == (412, "precondition_failed")
    assert admin.get(user_path(owner)).json["role"] == "user"


def test_each_sort_of_change_is_recorded_with_who_made_it(app: Flask, owner: Person, admin: Person) -> None:
    admin.patch(user_path(owner), {"role": "admin", "is_active": False, "timezone": "Asia/Tokyo"})
    admin.patch(user_path(owner), {"role": "admin"})
    with app.app_context():
        about = sa.select(Event).where(Event.subject_id == owner.id, Event.actor_id == admin.id)
        events = session().scalars(about.order_by(Event.id)).all()
    assert [(event.type, event.before, event.after) for event in events] == [
        ("user.deactivated", {"is_active": True}, {"is_active": False}),
        ("user.role_changed", {"role": "user"}, {"role": "admin"}),
        ("user.updated", {"timezone": "UTC"}, {"timezone": "Asia/Tokyo"}),
    ]


@pytest.mark.parametrize("changes", [{"role": "user"}, {"is_active": False}], ids=["demoted", "switched off"])
def test_the_last_admin_is_neither_demoted_nor_switched_off(
    app: Flask, admin: Person, changes: dict[str, Any]
) -> None:
    """The last active administrator can be neither demoted nor switched off, not even by themselves."""
    second = make_person(app, "second@example.org", role="admin")
    assert second.patch(user_path(admin), {"is_active": False}).status_code == 200
    assert code(second.patch(user_path(second), changes)) == (409, "last_admin")
    assert second.get(user_path(second)).json["version"] == 1
    # Who is no administrator any more, or was not active, is not the last one.
    assert second.patch(user_path(admin), {"role": "user"}).status_code == 200


@pytest.mark.one_database
def test_an_admin_takes_neither_role_nor_access_from_themselves(app: Flask, admin: Person) -> None:
    make_person(app, "second@example.org", role="admin")
    for changes in ({"role": "user"}, {"is_active": False}):
        assert code(admin.patch(user_path(admin), changes)) == (409, "own_account")
    same = admin.patch(user_path(admin), {"role": "admin", "is_active": True, "full_name": "Ada"})
    assert body(same)["full_name"] == "Ada"
    # The operator may.
    with app.app_context(), transaction():
        administration.update_user(actor=None, user_id=admin.id, changes={"role": "user"})


@pytest.mark.one_database
@pytest.mark.parametrize(
    "changes",
    [
        {"role": "king"},
        {"is_active": "perhaps"},
        {"email": "x@example.org"},
        {"timezone": "Mars"},
        {"password": "chosen by somebody else"},
    ],
    ids=["role", "activity", "email", "zone", "password"],
)
def test_what_an_admin_may_not_change_is_refused(
    owner: Person, admin: Person, changes: dict[str, Any]
) -> None:
    assert code(admin.patch(user_path(owner), changes)) == (422, "validation_error")


Act = Callable[[Person], object]


def demote(person: Person) -> object:
    return administration.update_user(actor=None, user_id=person.id, changes={"role": "user"})


def switch_off(person: Person) -> object:
    return administration.update_user(actor=None, user_id=person.id, changes={"is_active": False})


def delete(person: Person) -> object:
    return deletion.delete_user(actor=None, user_id=person.id)


@pytest.mark.parametrize(
    ("first", "second"),
    [(demote, switch_off), (switch_off, delete), (delete, demote)],
    ids=["demoted", "switched off", "deleted"],
)
def test_of_two_admins_who_are_removed_at_once_one_stays(
    app: Flask, admin: Person, first: Act, second: Act
) -> None:
    other = make_person(app, "second@example.org", role="admin")
    together = threading.Barrier(2, timeout=20)

    def remove(act: Act, person: Person) -> None:
        with app.app_context():
            together.wait()
            with transaction():
                act(person)

    with ThreadPoolExecutor(2) as threads:
        removing = [threads.submit(remove, first, admin), threads.submit(remove, second, other)]
    refusals = [error for one in removing if (error := one.exception()) is not None]
    assert [type(error) for error in refusals] == [LastAdmin]
    with app.app_context():
        admins = sa.select(sa.func.count()).where(User.role == "admin", User.is_active)
        assert session().scalar(admins) == 1
