"""A thing is found below its own parent only: every nested id is swapped with that of another."""

from typing import Any

import pytest
from flask import Flask

from tests.contract.operations import NOBODYS_ID
from tests.contract.things import BODIES, THINGS, about, parameters_of
from tests.people import Person
from tests.rules.access_table import TABLE
from tests.settings import settings_changed

pytestmark = [pytest.mark.contract, pytest.mark.one_database("postgresql")]

NESTED = sorted(route for route in TABLE if len(parameters_of(route)) > 1)


def make_pair(person: Person, route: str) -> tuple[str, str]:
    """The ids of a new parent and of a new thing below it."""
    parent, child = parameters_of(route)
    return THINGS[parent](person), THINGS[child](person)


def ask(caller: Person, route: str, parent: str, child: str) -> Any:
    """The answer to the request; those about what is not there are the same to the byte."""
    made = dict(zip(parameters_of(route), (parent, child), strict=True))
    method, path = about(route, made).split(" ")
    same = {"X-Request-ID": "same"}
    return caller.call(method, path, BODIES.get(route), headers=same, buffered=True)


@pytest.mark.parametrize("route", NESTED)
def test_what_belongs_to_another_parent_is_not_there(
    app: Flask, owner: Person, teammate: Person, admin: Person, route: str
) -> None:
    one, other, foreign = (make_pair(person, route) for person in (owner, owner, teammate))
    swapped = [
        *((one[0], other[1]), (other[0], one[1])),
        *((one[0], foreign[1]), (foreign[0], one[1])),
    ]
    for team_sees_tasks in (False, True):
        with settings_changed(app, team_sees_tasks=team_sees_tasks):
            for caller in (owner, teammate, admin):
                for parent, child in swapped:
                    answer, missing = (ask(caller, route, parent, each) for each in (child, NOBODYS_ID))
                    assert (answer.status_code, answer.data) == (404, missing.data), (caller.email, answer)
    # All was asked of things that are there, and still are.
    for person, pair in ((owner, one), (owner, other), (teammate, foreign)):
        assert ask(person, route, *pair).status_code < 400


def test_the_nested_routes_are_found() -> None:
    """Else the test above would ask nobody."""
    assert {tuple(parameters_of(route)) for route in NESTED} == {
        ("task_id", "comment_id"),
        ("task_id", "file_id"),
        ("schedule_id", "backfill_id"),
        ("webhook_id", "delivery_id"),
    }
