"""Whatever the OpenAPI document allows or forbids, the API does: thousands of made-up requests."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.generation.meta import TestPhase

from tests.conftest import migrated, settings_for
from tests.contract.made_up import Sender, load
from tests.document import DOCUMENT

pytestmark = pytest.mark.contract

METHODS = {"get", "post", "put", "patch", "delete"}
# All operations, as both kinds of people and on both databases, with more each would take hours: what a
# further example finds hangs on the operation far more than on the number.
schema, often = load(2), load(10)
# The same examples each time: a change fails by what it changed.
always_the_same = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Flask]:
    """A second installation: to make the requests up takes longer than to send them."""
    with migrated(settings_for(tmp_path_factory.mktemp("sqlite"), redis_url)) as app:
        yield app


@pytest.fixture
def user(app: Flask) -> Sender:
    return Sender(app, "user")


@pytest.fixture
def administrator(app: Flask) -> Sender:
    return Sender(app, "admin")


@pytest.fixture
def admin_on_sqlite(on_sqlite: Flask) -> Sender:
    return Sender(on_sqlite, "admin")


@pytest.mark.one_database("postgresql")
@schema.parametrize()
@always_the_same
def test_the_api_does_what_the_document_says(
    case: schemathesis.Case[Any], user: Sender, admin_on_sqlite: Sender
) -> None:
    user.send(case)
    # Those that try out one rule after the other are many, and once is enough.
    if case.meta is None or case.meta.phase.name != TestPhase.COVERAGE:
        admin_on_sqlite.send(case)


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
@always_the_same
def test_it_does_so_however_often_users_ask(case: schemathesis.Case[Any], user: Sender) -> None:
    user.send(case)


@pytest.mark.soak
@often.parametrize()
@always_the_same
def test_it_does_so_however_often_administrators_ask(
    case: schemathesis.Case[Any], administrator: Sender
) -> None:
    administrator.send(case)
