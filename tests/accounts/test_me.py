"""GET, PUT and PATCH /api/auth/me"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.db import session
from taskapi.core.events import Event
from tests.accounts.helpers import body, code
from tests.files.making import store
from tests.people import Person
from tests.settings import settings_changed

ME = "/api/auth/me"


def test_one_sees_ones_own_account(owner: Person) -> None:
    answer = owner.get(ME)
    assert answer.headers["ETag"].startswith('"v1.')
    me = body(answer)
    assert me.keys() == {
        *("id", "email", "username", "full_name", "avatar_url", "role", "is_active", "email_verified"),
        *("timezone", "created_at", "notification_preferences", "storage", "version"),
    }
    assert (me["id"], me["email"]) == (str(owner.id), owner.email)


def test_an_anonymous_caller_has_no_account(client: FlaskClient) -> None:
    assert code(client.get(ME)) == (401, "unauthorized")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"full_name": "  Olivia O "}, {"full_name": "Olivia O"}),
        ({"full_name": None}, {"full_name": None}),
        ({"avatar_url": "https://a.example/o.png"}, {"avatar_url": "https://a.example/o.png"}),
        ({"timezone": "Asia/Tokyo"}, {"timezone": "Asia/Tokyo"}),
        ({"notification_preferences": {"email": {"reminder": False}}},) * 2,
        ({}, {}),
    ],
)
def test_a_change_changes_only_what_is_sent(
    owner: Person, method: str, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    before = body(owner.get(ME))
    answer = owner.call(method, ME, sent)
    assert answer.status_code == 200
    after = body(owner.get(ME))
    assert body(answer) == after
    assert {**after, "version": 1} == {**before, **kept, "version": 1}


def test_a_change_raises_the_version(owner: Person) -> None:
    answer = owner.patch(ME, {"full_name": "Olivia"})
    assert (body(answer)["version"], answer.headers["ETag"][:4]) == (2, '"v2.')


def test_a_change_to_what_it_is_already_changes_nothing(app: Flask, owner: Person) -> None:
    preferences = {"email": {"reminder": False}}
    sent = {"full_name": "Olivia", "timezone": "Asia/Tokyo", "notification_preferences": preferences}
    versions = [
        body(owner.patch(ME, part))["version"] for part in (sent, sent, {"timezone": "Asia/Tokyo"}, {})
    ]
    assert versions == [2] * 4
    with app.app_context():
        updates = session().scalars(sa.select(Event.id).where(Event.type == "user.updated")).all()
    assert len(updates) == 1


def test_an_unchanged_account_need_not_be_sent_again(owner: Person) -> None:
    etag = owner.get(ME).headers["ETag"]
    assert owner.get(ME, headers={"If-None-Match": etag}).status_code == 304


def test_it_shows_how_much_one_stores_and_may_store(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=1000):
        before = owner.get(ME)
        store(owner, b"twelve bytes")
        after = owner.get(ME, headers={"If-None-Match": before.headers["ETag"]})
        changed = [body(owner.call(method, ME, {"timezone": "Asia/Tokyo"})) for method in ("PUT", "PATCH")]
    assert before.json["storage"] == {"used": 0, "allowed": 1000}
    assert (after.status_code, after.json["storage"]) == (200, {"used": 12, "allowed": 1000})
    assert [profile["storage"] for profile in changed] == [after.json["storage"]] * 2


def test_without_a_quota_nothing_is_said_to_be_allowed(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=0):
        assert owner.get(ME).json["storage"] == {"used": 0, "allowed": None}


def test_what_one_stores_voids_no_edit(owner: Person) -> None:
    seen = {"If-Match": owner.get(ME).headers["ETag"]}
    store(owner)
    assert owner.patch(ME, {"full_name": "Olivia"}, headers=seen).status_code == 200
    assert owner.patch(ME, {"full_name": "O"}, headers=seen).status_code == 412


def test_preferences_are_replaced_whole(owner: Person) -> None:
    owner.patch(ME, {"notification_preferences": {"email": {"reminder": False, "run_failed": True}}})
    owner.patch(ME, {"notification_preferences": {"email": {"run_failed": False}}})
    assert body(owner.get(ME))["notification_preferences"] == {"email": {"run_failed": False}}


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"full_name": "x" * 201}, "full_name"),
        ({"full_name": "a\nb"}, "full_name"),
        ({"full_name": 1}, "full_name"),
        ({"avatar_url": "javascript:alert(1)"}, "avatar_url"),
        ({"avatar_url": f"https://a.example/{'x' * 500}"}, "avatar_url"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"notification_preferences": {"sms": {}}}, "notification_preferences.sms"),
        (
            {"notification_preferences": {"email": {"reminder": "yes"}}},
            "notification_preferences.email.reminder",
        ),
        (
            {"notification_preferences": {"email": {"Not a kind": True}}},
            "notification_preferences.email.Not a kind",
        ),
        ({"email": "other@example.org"}, "email"),
        ({"username": "other"}, "username"),
        ({"role": "admin"}, "role"),
        ({"is_active": False}, "is_active"),
        ({"version": 9}, "version"),
        ({"password": "correct horse battery 2"}, "password"),
    ],
)
def test_what_may_not_be_changed_so_is_refused(owner: Person, sent: dict[str, Any], field: str) -> None:
    answer = owner.patch(ME, sent)
    assert answer.status_code == 422
    assert list(body(answer)["errors"]) == [field]
    assert body(owner.get(ME))["version"] == 1


def test_a_change_is_nobody_elses(owner: Person, teammate: Person) -> None:
    owner.patch(ME, {"full_name": "Olivia"})
    assert body(teammate.get(ME))["full_name"] is None


def test_changes_at_the_same_moment_queue_up(app: Flask, owner: Person) -> None:
    def change(number: int) -> list[int]:
        person = replace(owner, client=app.test_client())
        return [person.patch(ME, {"full_name": f"O {number} {turn}"}).status_code for turn in range(10)]

    with ThreadPoolExecutor(4) as threads:
        answers = [*threads.map(change, range(4))]
    assert answers == [[200] * 10] * 4
    assert body(owner.get(ME))["version"] == 41


def test_a_kind_of_e_mail_that_is_unknown_is_refused_with_the_one_that_was_meant(owner: Person) -> None:
    answer = owner.patch(
        ME, {"notification_preferences": {"email": {"remindr": False, "nonsense_kind": True}}}
    )
    assert body(answer)["errors"] == {
        "notification_preferences.email.remindr": ["Unknown field. Did you mean 'reminder'?"],
        "notification_preferences.email.nonsense_kind": ["Unknown field."],
    }
