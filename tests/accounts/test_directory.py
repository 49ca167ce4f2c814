"""GET /api/auth/users"""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import User
from taskapi.accounts.service import create_user
from taskapi.core.db import session, transaction
from tests.accounts.helpers import body, code
from tests.people import PASSWORD_HASH, Person

PATH = "/api/auth/users"
Search = Callable[[str], list[str]]


@pytest.fixture
def people(app: Flask, owner: Person) -> None:
    """Beside the owner, some who are found by one thing or another."""
    names = {"Zoë": "Jürgen GROß", "a_b": "100% Ada", "a-b": None, "straße": "Ντίνος", "jöran": "Ivanka Ж"}
    with app.app_context(), transaction():
        for number, (username, full_name) in enumerate(names.items()):
            create_user(
                email=f"mail{number}@secret.example",
                username=username,
                full_name=full_name,
                password_hash=PASSWORD_HASH,
            )


@pytest.fixture
def search(owner: Person, people: None) -> Search:
    """The usernames that are found."""

    def found(q: str) -> list[str]:
        return [user["username"] for user in body(owner.get(PATH, query_string={"q": q}))["items"]]

    return found


def test_it_shows_names_and_never_an_address(owner: Person, people: None) -> None:
    """The search for users shows no e-mail address."""
    answer = owner.get(PATH)
    assert {frozenset(user) for user in body(answer)["items"]} == {
        frozenset({"id", "username", "full_name", "avatar_url"})
    }
    assert "secret.example" not in answer.text


def test_all_are_listed_by_username(owner: Person, people: None) -> None:
    names = [user["username"] for user in body(owner.get(PATH))["items"]]
    assert sorted(names) == sorted(["Zoë", "a_b", "a-b", "straße", "jöran", "olivia"])
    backwards = body(owner.get(f"{PATH}?sort=-username"))["items"]
    assert [user["username"] for user in backwards] == names[::-1]


def test_pages_go_on_by_cursor(owner: Person, people: None) -> None:
    everybody = [user["id"] for user in body(owner.get(PATH))["items"]]
    first = body(owner.get(f"{PATH}?per_page=4&q="))
    rest = body(owner.get(f"{PATH}?per_page=4&cursor={first['next_cursor']}"))
    assert [user["id"] for page in (first, rest) for user in page["items"]] == everybody
    assert first["total"] == 6


@pytest.mark.parametrize(
    ("q", "usernames"),
    [
        ("OLIV", ["olivia"]),
        ("zoË", ["Zoë"]),
        ("JÜRGEN", ["Zoë"]),
        ("jürgen groß", ["Zoë"]),
        ("JÖRAN", ["jöran"]),
        ("ж", ["jöran"]),
        ("ΝΤΊΝ", ["straße"]),
        ("Straß", ["straße"]),
        ("nobody", []),
    ],
)
def test_case_does_not_matter_in_any_alphabet(search: Search, q: str, usernames: list[str]) -> None:
    assert search(q) == usernames


@pytest.mark.parametrize(
    ("q", "usernames"),
    [
        ("a_b", ["a_b"]),
        ("%", ["a_b"]),
        ("a.b", []),
        (".*", []),
        ("\\", []),
        ("[a-z]", []),
        ("(", []),
        ("^", []),
    ],
)
def test_no_character_has_a_meaning_of_its_own(search: Search, q: str, usernames: list[str]) -> None:
    assert search(q) == usernames


@pytest.mark.parametrize(
    "letter", [*"!\"#$&'()*+,-/:;<=>?@[]^`{|}~ ", "(?i)", "***:", "\\d", "\u00df", "{1}"]
)
def test_no_character_breaks_the_search(owner: Person, letter: str) -> None:
    answer = owner.get(PATH, query_string={"q": f"x{letter}x"})
    assert (answer.status_code, answer.json["items"]) == (200, [])


@pytest.mark.parametrize("q", ["secret", "mail1", "@", "olivia@example.org"])
def test_addresses_are_not_searched(search: Search, q: str) -> None:
    assert search(q) == []


def test_inactive_users_are_not_shown(app: Flask, owner: Person, teammate: Person) -> None:
    with app.app_context(), transaction():
        session().execute(sa.update(User).where(User.id == teammate.id).values(is_active=False))
    assert [user["id"] for user in body(owner.get(PATH))["items"]] == [str(owner.id)]


@pytest.mark.parametrize("sort", ["email", "password_hash", "-created_at"])
def test_there_is_no_sorting_by_what_is_hidden(owner: Person, sort: str) -> None:
    assert list(body(owner.get(f"{PATH}?sort={sort}"))["errors"]) == ["sort"]


def test_who_is_not_signed_in_sees_nobody(client: FlaskClient) -> None:
    assert code(client.get(PATH)) == (401, "unauthorized")
