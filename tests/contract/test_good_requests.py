"""Each operation does what it is for, and answers as the document says: with each of its successes."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.test import TestResponse

from tests.contract.good_requests import GOOD_BODIES, PREPARED, live, send_good
from tests.contract.made_up import load
from tests.contract.operations import LISTS, OPERATIONS, WITH_BODY
from tests.contract.things import about
from tests.people import Person
from tests.s3 import new_bucket

pytestmark = pytest.mark.contract

CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = load(1)
STAYING_OPEN = {"GET /api/events", "GET /ws", "GET /ws/<token>"}
SUCCESSES = sorted(
    (route, int(status))
    for route, operation in OPERATIONS.items()
    for status in operation["responses"]
    if status[0] in "123"
)


def check(route: str, answer: TestResponse) -> None:
    """Compare status, type, headers and body with what the document says of them."""
    method, rule = route.split(" ")
    path = rule.replace("<uuid:", "{").replace("<path:", "{").replace("<", "{").replace(">", "}")
    case: Any = SCHEMA[path][method].Case()
    case.validate_response(answer, checks=CHECKS)


@pytest.fixture
def asker(request: pytest.FixtureRequest, route: str) -> Person:
    """Somebody who may ask for the route."""
    person: Person = request.getfixturevalue("admin" if " /api/admin/" in route else "owner")
    return person


@pytest.fixture
def surroundings(
    app: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str
) -> None:
    """A bucket, if the answer is to lead there, and a loop for connections that stay open."""
    if request.getfixturevalue("status") == 302:
        bucket = new_bucket(request.getfixturevalue("s3_url"), tmp_path, signed_downloads=True)
        monkeypatch.setitem(app.extensions, "taskapi_storage", bucket)
    if route in STAYING_OPEN:
        request.getfixturevalue("listening")


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize(("route", "status"), SUCCESSES)
def test_a_good_request_is_answered_as_the_document_says(asker: Person, route: str, status: int) -> None:
    answer = send_good(asker, route, status)
    assert answer.status_code == status, answer.text
    check(route, answer)


def test_each_list_shows_what_there_is_as_the_document_says(app: Flask, admin: Person) -> None:
    made = live(admin)
    for route in LISTS:
        answer = admin.get(about(route, made).split(" ")[1])
        assert answer.json["items"], route
        check(route, answer)


def test_each_operation_with_a_body_has_a_good_one() -> None:
    assert GOOD_BODIES.keys() == set(WITH_BODY)
    known = {*OPERATIONS, *(f"{route}: {status}" for route, status in SUCCESSES)}
    assert PREPARED.keys() <= known


@pytest.mark.one_database
def test_an_answer_that_the_document_does_not_tell_of_is_noticed(owner: Person) -> None:
    answer = owner.get("/api/auth/me")
    check("GET /api/auth/me", answer)
    with pytest.raises(FailureGroup):
        check("GET /api/auth/sessions", answer)
