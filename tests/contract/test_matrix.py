"""Every route against everybody who may call it: refused, hidden, or let through.

``access_table`` says what a token needs, ``SEEN_BY`` of ``things`` who finds another's things. A route whose
path names a thing that is not listed there fails.
"""

from collections.abc import Callable, Iterator, Mapping

import pytest
from flask import Flask

from taskapi.core.access import Access
from tests.contract.things import (
    EVERYBODY,
    FORBIDDEN,
    HIDDEN,
    SEEN_BY,
    THINGS,
    THROUGH,
    VISIBILITIES,
    about,
    call,
    make_token,
    parameters_of,
    signed_in_again,
)
from tests.people import Person, make_person
from tests.rules.access_table import CLOSED, TABLE
from tests.settings import settings_changed
from tests.tasks.making import make_task

pytestmark = pytest.mark.contract

OF_THE_TEAM = {"task_id", "comment_id", "file_id"}
ONLOOKERS = {"assignee", "stranger"}
# The tokens of programs: whose, and with which scopes.
TOKENS: dict[str, tuple[str, set[str]]] = {
    "read token": ("owner", {"read"}),
    "write token": ("owner", {"write"}),
    # By itself the scope neither reads nor writes.
    "admin's token": ("admin", {"admin"}),
    "stranger's token": ("stranger", {"read", "write"}),
    "assignee's token": ("assignee", {"read", "write"}),
    "admin's token without the scope": ("admin", {"read", "write"}),
}
# Who, if they see a thing, may not do this with it.
FORBIDDEN_TO = {
    "PUT /api/tasks/<uuid:task_id>": {"stranger"},
    "PATCH /api/tasks/<uuid:task_id>": {"stranger"},
    "DELETE /api/tasks/<uuid:task_id>": ONLOOKERS,
    "POST /api/tasks/<uuid:task_id>/restore": ONLOOKERS,
    "POST /api/tasks/<uuid:task_id>/files": {"stranger"},
    "DELETE /api/tasks/<uuid:task_id>/files/<uuid:file_id>": ONLOOKERS,
    "DELETE /api/files/<uuid:file_id>": ONLOOKERS,
    "PUT /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>": {*ONLOOKERS, "admin"},
    "PATCH /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>": {*ONLOOKERS, "admin"},
    "DELETE /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>": ONLOOKERS,
    "PUT /api/tags/<uuid:tag_id>": ONLOOKERS,
    "PATCH /api/tags/<uuid:tag_id>": ONLOOKERS,
    "DELETE /api/tags/<uuid:tag_id>": ONLOOKERS,
}


@pytest.fixture
def people(app: Flask, owner: Person, teammate: Person, admin: Person) -> dict[str, Person]:
    """Who is let in; those who change most come last."""
    assignee = make_person(app, "asta@example.org")
    return {"stranger": teammate, "assignee": assignee, "admin": admin, "owner": owner}


@pytest.fixture
def tokens(people: dict[str, Person]) -> dict[str, str]:
    return {name: make_token(people[who], *scopes)["token"] for name, (who, scopes) in TOKENS.items()}


def expected(route: str, visibility: str) -> dict[str, str]:
    """What each caller meets: what a token lacks comes before what may not be seen."""
    access = TABLE[route]
    seen_by = EVERYBODY.intersection(*_seen_by(route, visibility))
    users = {name: THROUGH if name in seen_by else HIDDEN for name in EVERYBODY}
    users |= dict.fromkeys(FORBIDDEN_TO.get(route, set()) & seen_by, FORBIDDEN)
    if access.scope == "admin":
        users |= dict.fromkeys(EVERYBODY - {"admin"}, FORBIDDEN)
    return {name: _of_token(access, users, *token) for name, token in TOKENS.items()} | users


def _seen_by(route: str, visibility: str) -> Iterator[frozenset[str]]:
    for name in parameters_of(route):
        yield EVERYBODY if VISIBILITIES[visibility] and name in OF_THE_TEAM else SEEN_BY[name]


def _of_token(access: Access, users: Mapping[str, str], who: str, scopes: set[str]) -> str:
    """As who made it; but an administrator's does what anybody's does unless it has the scope."""
    if access.session or not scopes.issuperset(access.scopes):
        return FORBIDDEN
    return users["stranger" if who == "admin" and "admin" not in scopes else who]


# Each room shows on both databases what others find of its things.
@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("route", CLOSED)
def test_everybody_meets_what_the_tables_say(
    app: Flask, people: dict[str, Person], tokens: dict[str, str], route: str
) -> None:
    def make_given_task(owner: Person) -> str:
        return str(make_task(owner, assignee_id=str(people["assignee"].id))["id"])

    make_given_task(people["owner"])
    things = {**THINGS, "task_id": make_given_task}
    for visibility, team_sees_tasks in VISIBILITIES.items():
        callers = {**tokens, **{name: signed_in_again(person) for name, person in people.items()}}
        with settings_changed(app, team_sees_tasks=team_sees_tasks):
            assert meet(people["owner"], route, things, callers) == expected(route, visibility), visibility


def meet(
    owner: Person, route: str, things: Mapping[str, Callable[[Person], str]], callers: Mapping[str, str]
) -> dict[str, str]:
    """How far each caller comes. Who is refused leaves the things as they are, for the next one."""
    met: dict[str, str] = {}
    request = None
    for caller, token in callers.items():
        if request is None:
            request = about(route, {name: things[name](owner) for name in parameters_of(route)})
        met[caller] = call(owner, route, request, token)
        request = None if met[caller] == THROUGH else request
    return met
