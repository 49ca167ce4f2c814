"""GET /api/actions"""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from taskapi.core.schemas import Schema
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action
from tests.people import Person

HOUSE = ["create_task", "digest", "expect_ping", "file_cleanup", "reminder", "report", "webhook"]
ALL = [*HOUSE, "x", "y", "z"]


@pytest.fixture(autouse=True)
def three_more() -> Iterator[None]:
    """The actions x, y and z beside those of the house."""
    names = ("x", "y", "z")
    for name in names:
        registry.register(Action(name, "Nothing.", Schema, lambda _context, _params: None))
    yield
    for name in names:
        registry.unregister(name)


def test_each_action_says_what_it_takes(owner: Person) -> None:
    answer = owner.get("/api/actions").json
    assert [item["name"] for item in answer["items"]] == ALL
    assert answer["items"][4]["params"]["required"] == ["message"]
    assert (answer["page"], answer["total"], answer["next_cursor"]) == (1, 10, None)


def test_it_has_pages_as_every_list(owner: Person) -> None:
    answer = owner.get("/api/actions?page=2&per_page=8")
    assert [item["name"] for item in answer.json["items"]] == ["y", "z"]
    assert answer.headers["Link"] == '</api/actions?page=1&per_page=8>; rel="prev"'
    assert owner.get("/api/actions?page=9").json["items"] == []


def test_its_cursor_leads_to_the_rest(owner: Person) -> None:
    first = owner.get("/api/actions?per_page=6").json
    rest = owner.get("/api/actions", query_string={"cursor": first["next_cursor"]}).json
    assert [item["name"] for item in first["items"] + rest["items"]] == ALL
    assert (rest["page"], rest["total"], rest["next_cursor"]) == (None, None, None)


@pytest.mark.parametrize("query", ["page=0", "per_page=101", "sort=name", "q=x"])
def test_what_a_list_does_not_know_is_refused(owner: Person, query: str) -> None:
    assert owner.get(f"/api/actions?{query}").status_code == 422


def test_it_is_for_those_who_are_signed_in(client: FlaskClient) -> None:
    assert client.get("/api/actions").status_code == 401
