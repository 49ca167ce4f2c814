"""POST /api/auth/register"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError

from taskapi.accounts import names, queries, service
from taskapi.accounts.service import create_user
from taskapi.core.db import db, transaction
from tests.accounts.helpers import body, code, log_in, register
from tests.conftest import settings_for
from tests.people import PASSWORD, PASSWORD_HASH, Person
from tests.settings import settings_changed


def test_an_account_is_made_and_shown_without_its_password(client: FlaskClient) -> None:
    answer = register(
        client, "Nora@Example.org", username="nora", full_name=" Nora N ", timezone="Europe/Paris"
    )
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/auth/me")
    user = body(answer)
    assert (user.pop("id"), user.pop("created_at")) != (None, None)
    assert user == {
        "email": "Nora@Example.org",
        "username": "nora",
        "full_name": "Nora N",
        "avatar_url": None,
        "role": "user",
        "is_active": True,
        "email_verified": False,
        "timezone": "Europe/Paris",
    }


def test_a_new_account_can_sign_in_whatever_the_case(client: FlaskClient) -> None:
    register(client, "Nora@Example.org")
    assert log_in(client, "nora@EXAMPLE.ORG").status_code == 200


@pytest.mark.parametrize("email", ["OLIVIA@example.org", "olivia@Example.ORG", "olivia@example.org"])
def test_an_address_is_taken_in_any_case(client: FlaskClient, owner: Person, email: str) -> None:
    assert code(register(client, email, username="other")) == (409, "email_taken")


@pytest.mark.parametrize("username", ["olivia", "OLIVIA", "Olivia"])
def test_a_username_is_taken_in_any_case(client: FlaskClient, owner: Person, username: str) -> None:
    assert code(register(client, username=username)) == (409, "username_taken")


@pytest.mark.parametrize(
    ("emails", "usernames"),
    [
        (["ann@a.org", "ann@b.org", "ANN@c.org"], ["ann", "ann2", "ANN3"]),
        (["ann+tasks@a.org", "anntasks@b.org"], ["anntasks", "anntasks2"]),
        (["+++@a.org"], ["user"]),
        ([".a.@a.org"], ["a"]),
        ([f"{'x' * 64}@a.org"], ["x" * 40]),
        (["juergen@bücher.example"], ["juergen"]),
    ],
)
def test_a_missing_username_is_made_from_the_address(
    client: FlaskClient, emails: list[str], usernames: list[str]
) -> None:
    assert [body(register(client, email))["username"] for email in emails] == usernames


def test_a_name_that_thousands_have_is_found_free_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, asked = {"user", *(f"user{number}" for number in range(2, 5_000))}, list[str]()

    def exists(key: str) -> bool:
        asked.append(key)
        return key in taken

    monkeypatch.setattr(queries, "username_exists", exists)
    username, _ = names.free_username("user@example.org")
    assert username not in taken
    assert len(asked) < 200


@pytest.mark.one_database
@pytest.mark.parametrize(
    "email",
    [
        *("", "a", "@a.org", "a@", "a b@c.org", "a@b@c.org", "a,b@c.org", "<a@c.org>", "a@c;d", "a..b@c.org"),
        *("a@.org", "a@c.org.", "a@-c.org", "a@c.org\r\nBcc: x@c.org", "a\u200b@c.org"),
        *(f"{'x' * 65}@c.org", f"a@{'x' * 250}"),
        # It folds to an address once the full-width sign has become @.
        "a@b\uff20c.org",
        # Longer than the column once its case is folded, though not before.
        *("\u0390" * 64 + "@" + "\u0390" * 180 + ".org", "a" * 64 + "@" + ("ß" * 30 + ".") * 6 + "org"),
    ],
)
def test_what_is_no_address_is_refused(client: FlaskClient, email: str) -> None:
    answer = register(client, email)
    assert answer.status_code == 422
    assert list(body(answer)["errors"]) == ["email"]


@pytest.mark.one_database
@pytest.mark.parametrize("email", ["jürgen@ex.org", "a@" + "ü" * 63 + ".org", "\u0390" * 40 + "@ex.org"])
def test_an_address_that_can_never_be_mailed_is_refused(client: FlaskClient, email: str) -> None:
    answer = register(client, email)
    assert answer.status_code == 422
    assert body(answer)["errors"] == {"email": ["No mail can be sent to this address."]}


def test_an_address_in_an_international_domain_is_taken(client: FlaskClient) -> None:
    assert body(register(client, "anna@bücher.example"))["email"] == "anna@bücher.example"


@pytest.mark.parametrize("letter", ["\u0390", "\u1fb7", "\u1e96", "ß", "\u01f0"])
def test_a_username_whose_case_folds_to_more_letters_is_taken(client: FlaskClient, letter: str) -> None:
    assert register(client, username=letter * 50).status_code == 201
    assert log_in(client, letter.casefold() * 50).status_code == 200


@pytest.mark.parametrize("username", ["\ufdfa" * 50, "\ufb03" * 17, "a\uff0fb", "a\uff20b"])
def test_a_username_is_checked_in_its_normal_form(client: FlaskClient, username: str) -> None:
    assert list(body(register(client, username=username))["errors"]) == ["username"]


@pytest.mark.parametrize(
    ("typed", "kept"), [("\uff41dmin", "admin"), ("jo\u0308rg", "j\u00f6rg"), ("\ufb01n", "fin")]
)
def test_usernames_that_look_alike_are_one(client: FlaskClient, typed: str, kept: str) -> None:
    """Nobody takes the look of another's name."""
    assert body(register(client, username=typed))["username"] == kept
    assert code(register(client, "other@ex.org", username=kept)) == (409, "username_taken")
    assert log_in(client, typed).status_code == log_in(client, kept.upper()).status_code == 200


@pytest.mark.one_database
@pytest.mark.parametrize("username", ["", " ", "a b", "-a", "a-", ".a", "a@b", "x" * 51, "a\nb", "a/b"])
def test_what_is_no_username_is_refused(client: FlaskClient, username: str) -> None:
    assert list(body(register(client, username=username))["errors"]) == ["username"]


@pytest.mark.parametrize("username", ["a", "a.b-c_d", "x" * 50, "1", "Ünï", "名前"])
def test_what_is_a_username_is_taken_as_it_is(client: FlaskClient, username: str) -> None:
    assert body(register(client, username=username))["username"] == username


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "Use 10 to 128"),
        ("x" * 129, "Use 10 to 128"),
        ("abababababab", "four different"),
        ("my-name-is-new1@example", "name or e-mail"),
        ("NORANORA-secret", "name or e-mail"),
        ("taskapi-rocks!", "name or e-mail"),
        ("password123!", "first that others would try"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(client: FlaskClient, password: str, reason: str) -> None:
    answer = register(client, "new1@example.org", username="nora", password=password)
    assert answer.status_code == 422
    assert reason in body(answer)["errors"]["password"][0]
    assert password not in answer.text


def test_the_list_of_common_passwords_can_be_switched_off(app: Flask, client: FlaskClient) -> None:
    with settings_changed(app, password_check_common=False):
        assert register(client, password="password123!").status_code == 201


@pytest.mark.parametrize("password", ["ten chars!", "x y z " * 21 + "xy", "パスワードは秘密です長い"])
def test_a_password_may_have_10_to_128_characters_of_any_kind(client: FlaskClient, password: str) -> None:
    assert register(client, password=password).status_code == 201
    assert log_in(client, "new@example.org", password).status_code == 200


@pytest.mark.parametrize("password", ["my olivia okonkwo", "OliviaOkonkwo77"])
def test_the_full_name_is_no_password(client: FlaskClient, password: str) -> None:
    sent = {"username": "liv", "full_name": "Olivia Okonkwo", "password": password}
    answer = register(client, **sent)
    assert "name or e-mail" in body(answer)["errors"]["password"][0]


@pytest.mark.parametrize("fields", [{"role": "admin"}, {"is_active": True}, {"email_verified": True}])
def test_nobody_gives_themselves_rights(client: FlaskClient, fields: dict[str, Any]) -> None:
    assert list(body(register(client, **fields))["errors"]) == list(fields)


@pytest.mark.parametrize("missing", ["email", "password"])
def test_address_and_password_are_needed(client: FlaskClient, missing: str) -> None:
    sent = {"email": "new@example.org", "password": PASSWORD}
    del sent[missing]
    assert list(body(client.post("/api/auth/register", json=sent))["errors"]) == [missing]


def test_of_two_who_ask_for_one_address_at_once_one_gets_it(app: Flask) -> None:
    together = threading.Barrier(2, timeout=10)

    def ask(username: str) -> int:
        together.wait()
        return register(app.test_client(), "same@example.org", username=username).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(ask, ["one", "two"])) == [201, 409]


def test_two_whose_usernames_are_made_from_alike_addresses_both_get_in(app: Flask) -> None:
    with ThreadPoolExecutor(1) as threads:
        with app.app_context(), transaction():
            create_user(email="same@one.org", password_hash=PASSWORD_HASH)
            second = threads.submit(register, app.test_client(), "same@two.org")
            # The second has chosen its name by then, or waits for its turn.
            wait([second], timeout=0.3)
        assert body(second.result(timeout=20))["username"] == "same2"


@pytest.fixture
def closed(app: Flask, tmp_path: Path, redis_url: str) -> Iterator[FlaskClient]:
    """A client of the application after registration was switched off."""
    before = app.extensions["taskapi_settings"]
    app.extensions["taskapi_settings"] = settings_for(tmp_path, redis_url, REGISTRATION="off")
    yield app.test_client()
    app.extensions["taskapi_settings"] = before


def test_registration_can_be_switched_off(closed: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is hashed for whom it is refused anyway.
    monkeypatch.setattr(service, "hash_new_password", lambda **_asked: pytest.fail("it was hashed"))
    assert code(register(closed)) == (403, "registration_closed")


def test_nothing_is_left_of_a_refused_registration(client: FlaskClient, owner: Person, app: Flask) -> None:
    register(client, "olivia@example.org", username="other")
    with app.app_context():
        assert db.session.execute(db.text("SELECT count(*) FROM users")).scalar_one() == 1


def test_a_fault_that_is_no_taken_name_is_not_called_one(context: Flask) -> None:
    with pytest.raises(IntegrityError, match="role"), transaction():
        create_user(email="x@example.org", username="x", password_hash=PASSWORD_HASH, role="boss")
