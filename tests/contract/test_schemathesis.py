"""Whatever the OpenAPI document allows or forbids, the API does: thousands of made-up requests."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.generation.meta import TestPhase

from tests.conftest import empty, migrated, settings_for
from tests.contract.made_up import Sender, load
from tests.document import DOCUMENT

pytestmark = pytest.mark.contract

METHODS = {"get", "post", "put", "patch", "delete"}
# All operations, with more each or with each of them as both kinds of people on both databases, would take
# hours: what a further example finds hangs on the operation far more than on the number.
schema, often = load(2), load(10)
# The same examples each time: a change fails by what it changed.
always_the_same = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
# Who asks often asks otherwise each time; what fails says how to make it up again.
never_the_same = settings(always_the_same, derandomize=False, database=None, print_blob=True)


# By method and path: of the next operation the databases change places.
OPERATIONS = sorted(
    f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in METHODS & item.keys()
)
TURNS = [{"user": "postgresql", "admin": "sqlite"}, {"user": "sqlite", "admin": "postgresql"}]

SenderOf = Callable[[str, str], Sender]


@pytest.fixture(scope="module")
def installed_on_sqlite(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Flask]:
    """A second installation: to make the requests up takes longer than to send them."""
    with migrated(settings_for(tmp_path_factory.mktemp("sqlite"), redis_url)) as app:
        yield app


@pytest.fixture
def sender_of(app: Flask, installed_on_sqlite: Flask) -> Iterator[SenderOf]:
    """Of each role, on each database, one sends all requests of an operation."""
    apps = {"postgresql": app, "sqlite": installed_on_sqlite}
    yield cache(lambda role, database: Sender(apps[database], role))
    empty(installed_on_sqlite)


@pytest.fixture
def user(app: Flask) -> Sender:
    return Sender(app, "user")


@pytest.fixture
def administrator(app: Flask) -> Sender:
    return Sender(app, "admin")


@pytest.mark.one_database("postgresql")
@schema.parametrize()
@always_the_same
def test_the_api_does_what_the_document_says(case: schemathesis.Case[Any], sender_of: SenderOf) -> None:
    """By turns a user asks PostgreSQL and an administrator SQLite, or each of them the other.

    So both kinds of people ask for each operation, on one database each, and over all operations on both.
    """
    turn = TURNS[OPERATIONS.index(case.operation.label) % len(TURNS)]
    sender_of("user", turn["user"]).send(case)
    # Those that try out one rule after the other are many, and once is enough.
    if case.meta is None or case.meta.phase.name != TestPhase.COVERAGE:
        sender_of("admin", turn["admin"]).send(case)


@pytest.mark.one_database
def test_only_where_the_path_names_something_it_may_be_missing() -> None:
    """The checks take each status for right that the document tells of."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            told = item[method]["responses"].keys()
            assert ("404" in told) == ("{" in path), (method, path)
            assert {"405", "406"}.isdisjoint(told), (method, path)


@pytest.mark.soak
@often.parametrize()
@never_the_same
def test_it_does_so_however_often_users_ask(case: schemathesis.Case[Any], user: Sender) -> None:
    user.send(case)


@pytest.mark.soak
@often.parametrize()
@never_the_same
def test_it_does_so_however_often_administrators_ask(
    case: schemathesis.Case[Any], administrator: Sender
) -> None:
    administrator.send(case)
