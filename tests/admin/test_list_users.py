"""GET /api/admin/users"""

import pytest

from tests.accounts.helpers import code
from tests.admin.managing import USERS, names, user_path
from tests.files.making import store
from tests.people import PASSWORD, Person
from tests.schedules.making import make
from tests.tasks.making import make_task, path_of


def test_an_admin_sees_all_the_newest_first(owner: Person, admin: Person) -> None:
    assert names(admin) == ["ada", "olivia"]


def test_nobody_else_does(owner: Person) -> None:
    assert code(owner.get(USERS)) == (403, "admin_only")


def test_it_tells_how_much_each_has(owner: Person, admin: Person) -> None:
    make_task(owner)
    owner.delete(path_of(make_task(owner)))
    make(owner, every=60)
    owner.post(f"/api/schedules/{make(owner, every=60)['id']}/cancel")
    store(owner, b"12345")
    shown = {user["username"]: user["counts"] for user in admin.get(USERS).json["items"]}
    assert shown == {
        "olivia": {"tasks": 1, "schedules": 1, "files": 1, "storage_bytes": 5},
        "ada": {"tasks": 0, "schedules": 0, "files": 0, "storage_bytes": 0},
    }


def test_it_tells_when_they_signed_in_and_no_secret(owner: Person, admin: Person) -> None:
    (shown,) = admin.get(USERS, query_string={"q": "olivia"}).json["items"]
    assert shown["last_sign_in_at"] >= shown["created_at"]
    assert not [field for field in shown if "password" in field or "hash" in field]


def test_filters_choose(owner: Person, admin: Person) -> None:
    admin.post(USERS, {"email": "nina@example.org", "full_name": "Nina Öberg", "is_active": False})
    for query, found in (
        ({"role": "ADMIN"}, ["ada"]),
        ({"role": ["admin", "user"]}, ["nina", "ada", "olivia"]),
        ({"is_active": "false"}, ["nina"]),
        ({"q": "ÖBERG"}, ["nina"]),
        ({"q": "OLIVIA@"}, ["olivia"]),
        ({"q": "."}, ["nina", "ada", "olivia"]),
        ({"created_before": "2020-01-01"}, []),
        ({"created_after": "2020-01-01"}, ["nina", "ada", "olivia"]),
        ({"sort": "email"}, ["ada", "nina", "olivia"]),
        ({"sort": "-username"}, ["olivia", "nina", "ada"]),
    ):
        assert names(admin, **query) == found


def test_closed_accounts_are_shown_only_when_they_are_asked_for(owner: Person, admin: Person) -> None:
    owner.delete("/api/auth/me", json={"password": PASSWORD})
    assert names(admin) == ["ada"]
    assert names(admin, closed="true") == [f"closed-{owner.id}"]


def test_a_cursor_goes_on(owner: Person, admin: Person) -> None:
    first = admin.get(USERS, query_string={"per_page": 1}).json
    second = admin.get(USERS, query_string={"per_page": 1, "cursor": first["next_cursor"]}).json
    assert [first["total"], first["items"][0]["username"]] == [2, "ada"]
    assert [second["total"], second["items"][0]["username"]] == [None, "olivia"]


@pytest.mark.one_database
def test_an_unknown_filter_is_refused(admin: Person) -> None:
    assert admin.get(USERS, query_string={"roles": "admin"}).status_code == 422


@pytest.mark.one_database
def test_one_user_has_a_tag_that_follows_what_they_have(owner: Person, admin: Person) -> None:
    shown = admin.get(user_path(owner))
    same = admin.get(user_path(owner), headers={"If-None-Match": shown.headers["ETag"]})
    make_task(owner)
    changed = admin.get(user_path(owner), headers={"If-None-Match": shown.headers["ETag"]})
    assert (shown.json["username"], same.status_code, changed.status_code) == ("olivia", 304, 200)


def test_a_closed_account_is_not_found(owner: Person, admin: Person) -> None:
    owner.delete("/api/auth/me", json={"password": PASSWORD})
    for answer in (
        admin.get(user_path(owner)),
        admin.patch(user_path(owner), {"role": "admin"}),
        admin.delete(user_path(owner)),
        admin.get(f"{user_path(owner)}/deletion"),
    ):
        assert code(answer) == (404, "user_not_found")


def test_a_personal_token_needs_the_scope_admin_and_nothing_else(admin: Person) -> None:
    made = {
        scope: admin.post("/api/auth/tokens", {"name": "x", "scopes": [scope]}).json["token"]
        for scope in ("read", "admin")
    }
    answers = {
        scope: admin.client.get(USERS, headers={"Authorization": f"Bearer {token}"}).status_code
        for scope, token in made.items()
    }
    assert answers == {"read": 403, "admin": 200}
