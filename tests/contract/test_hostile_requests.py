"""What no endpoint may let pass, asked of each: hostile bodies, unknown names, what is another's."""

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from taskapi.core.access import fact_of
from tests.contract.good_requests import GOOD_BODIES
from tests.contract.operations import JSON, LISTS, NOBODYS_ID, OPERATIONS, WITH_BODY
from tests.contract.things import BODIES, EVERYBODY, SEEN_BY, THINGS, parameters_of
from tests.document import DOCUMENT, DOCUMENT_APP
from tests.people import Person
from tests.rules.access_table import TABLE

pytestmark = pytest.mark.contract
# What is refused before the database is asked needs no second one.
one_database = pytest.mark.parametrize("migrated_app", ["sqlite"], indirect=True)

# What people name themselves, and is made if it is new; and what nobody gave out.
NAMED = {"<path:external_id>": "PROJ-7", "<token>": "x"}
# About things that not everybody sees, asked where not only administrators may ask.
ABOUT_OWN_THINGS = sorted(
    route
    for route in TABLE
    if " /api/admin/" not in route and {SEEN_BY[name] for name in parameters_of(route)} - {EVERYBODY}
)
# In the place of a value in a body that is good otherwise: what is told of it.
HOSTILE = {
    b'"a\\u0000b"': "NUL",
    b'"\\ud800"': "surrogate",
    b"NaN": "NaN",
    b"1e400": "too large",
    b"9223372036854775808": "64 bits",
    b"9" * 5000: "64 bits",
    b"[" * 100_000 + b"]" * 100_000: "deeper than 64",
    b'{"a": 1, "a": 2}': "'a' stands twice",
    b"{": "not JSON",
    '"ü"'.encode("latin-1"): "not UTF-8",
}
ODD = ("%00", "a%00b", "%ED%A0%80", "%FF", "%C0%80", "9223372036854775808", "%F4%90%80%80")


def _that_say(fact: str) -> set[str]:
    """The routes whose view says this of itself."""
    with DOCUMENT_APP.app_context():
        return {
            f"{method} {rule.rule}"
            for rule in DOCUMENT_APP.url_map.iter_rules()
            for method in rule.methods or ()
            if fact_of(rule.endpoint, fact)
        }


def texts_in_query(operation: dict[str, Any]) -> list[str]:
    """Parameters that take any text; of a cursor there is a test below."""
    found = {}
    for one in operation.get("parameters", ()):
        if one["in"] == "query" and one["name"] != "cursor":
            found[one["name"]] = {*one["schema"], *one["schema"].get("items", ())}
    return [name for name, told in found.items() if {"pattern", "maxLength"} & told]


# Jobs outside call them, by whatever program: a body is kept and not read, a query means nothing.
TAKING_ANYTHING = _that_say("takes_anything")
# What they take is no JSON: a form with a file, or anything at all.
RECEIVING = sorted(_that_say("receives") & OPERATIONS.keys())
# A mail program sends a form to the link that ends a subscription, and it means nothing.
WITHOUT_BODY = sorted(
    route
    for route, operation in OPERATIONS.items()
    if "requestBody" not in operation
    and not route.startswith("GET")
    and route not in _that_say("takes_form") | TAKING_ANYTHING
)
WITH_TEXT_IN_QUERY = {
    route: names
    for route, operation in OPERATIONS.items()
    if route.startswith("GET") and (names := texts_in_query(operation))
}


def path_of(person: Person, route: str) -> str:
    """The path of the route, about things of the person's that exist."""
    path = route.split(" ")[1]
    for name in parameters_of(route):
        path = path.replace(f"<uuid:{name}>", THINGS[name](person))
    for name, value in NAMED.items():
        path = path.replace(name, value)
    return path


def send(person: Person, route: str, **options: Any) -> Any:
    """Call a route as its owner, about things that exist."""
    return person.call(route.split(" ")[0], path_of(person, route), **options)


def properties_of(route: str) -> dict[str, dict[str, Any]]:
    """The body's fields, each with its schema."""
    name = OPERATIONS[route]["requestBody"]["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    found: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"][name]["properties"]
    return found


def fields_of(route: str) -> list[str]:
    """Names of the body's fields."""
    return list(properties_of(route))


@pytest.fixture
def asker(owner: Person, admin: Person, route: str) -> Person:
    """Somebody who may ask for the route."""
    return admin if " /api/admin/" in route else owner


def text_field_of(route: str) -> str:
    """A field of the body whose value is text, if there is one."""
    told = properties_of(route)
    texts = [
        name for name, field in told.items() if "string" in str(field.get("type")) and "enum" not in field
    ]
    return next((name for name in texts if name in GOOD_BODIES[route]), (texts or list(told))[0])


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_hostile_body_is_refused(asker: Person, route: str) -> None:
    method, path = route.split(" ")[0], path_of(asker, route)
    good = json.dumps({**GOOD_BODIES[route], text_field_of(route): "hostile"}).encode()
    for value, reason in HOSTILE.items():
        body = good.replace(b'"hostile"', value)
        assert body != good
        answer = asker.call(method, path, data=body, content_type=JSON)
        assert (answer.status_code, answer.json["code"]) == (400, "malformed_json"), answer.text
        assert reason in answer.json["detail"]


@one_database
@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_that_is_no_object_is_refused(asker: Person, route: str) -> None:
    method, path = route.split(" ")[0], path_of(asker, route)
    for body in (b"[1]", b"null"):
        answer = asker.call(method, path, data=body, content_type=JSON)
        assert (answer.status_code, answer.json["errors"]) == (422, {"body": ["Invalid input type."]})


@pytest.mark.parametrize("route", WITH_TEXT_IN_QUERY)
def test_an_odd_text_in_a_query_is_an_error_of_the_client_at_most(asker: Person, route: str) -> None:
    path = path_of(asker, route)
    for name in WITH_TEXT_IN_QUERY[route]:
        for odd in ODD:
            answer = asker.get(path, query_string=f"{name}={odd}", buffered=True)
            # Only gunicorn keeps connections open.
            is_kept = route == "GET /api/events" and answer.status_code == 503
            assert answer.status_code < 500 or is_kept, (name, odd)


@one_database
@pytest.mark.parametrize("route", WITH_BODY)
def test_another_kind_of_body_is_refused(asker: Person, route: str) -> None:
    kinds = ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-7")
    answers = [send(asker, route, data=b"{}", content_type=kind) for kind in kinds]
    packed = {"Content-Encoding": "gzip"}
    answers.append(send(asker, route, data=b"{}", content_type="application/json", headers=packed))
    assert [answer.status_code for answer in answers] == [415] * 4
    assert {answer.json["code"] for answer in answers} == {"unsupported_media_type"}


@one_database
@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_over_the_limit_is_refused_before_it_is_read(asker: Person, route: str) -> None:
    answer = send(asker, route, data=b" " * 1_048_577, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "content_too_large")


@one_database
@pytest.mark.parametrize("route", RECEIVING)
def test_a_content_over_the_limit_is_refused_before_it_is_read(owner: Person, route: str) -> None:
    query = dict.fromkeys(_required_parameters(route), "a.txt")
    announced = {"CONTENT_LENGTH": str(1024**4)}
    kind = "multipart/form-data; boundary=x"
    answer = send(owner, route, query_string=query, content_type=kind, environ_overrides=announced)
    assert answer.status_code == 413
    assert answer.json["code"] in ("file_too_large", "import_too_large")


@one_database
@pytest.mark.parametrize("route", RECEIVING)
def test_a_content_that_is_packed_is_refused(owner: Person, route: str) -> None:
    query = dict.fromkeys(_required_parameters(route), "a.txt")
    answer = send(owner, route, query_string=query, data=b"x", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def _required_parameters(route: str) -> list[str]:
    parameters = OPERATIONS[route].get("parameters", ())
    return [found["name"] for found in parameters if found["in"] == "query" and found.get("required")]


@one_database
@pytest.mark.parametrize("route", WITH_BODY)
def test_fields_that_are_not_the_callers_to_set_are_refused(asker: Person, route: str) -> None:
    """Mass assignment: ids, owners, roles, times and versions are ours."""
    names = ["id", "owner_id", "user_id", "is_active", "role", "created_at", "version", "password_hash"]
    foreign = [name for name in names if name not in fields_of(route)]
    answer = send(asker, route, json=dict.fromkeys(foreign, NOBODYS_ID))
    assert answer.status_code == 422
    assert set(foreign) <= set(answer.json["errors"])


@one_database
@pytest.mark.parametrize("route", WITHOUT_BODY)
def test_a_body_that_nobody_asked_for_is_refused(asker: Person, route: str) -> None:
    answer = send(asker, route, json={"all": True})
    assert (answer.status_code, answer.json["errors"]) == (422, {"all": ["Unknown field."]})
    assert send(asker, route, json=["all"]).status_code == 422
    assert send(asker, route, data=b"[[[ no JSON").status_code == 400
    assert send(asker, route, json={}).status_code not in (400, 422)


@one_database
@pytest.mark.parametrize("route", WITH_BODY)
def test_a_misspelt_field_is_refused_with_the_one_that_was_meant(asker: Person, route: str) -> None:
    field = fields_of(route)[0]
    answer = send(asker, route, json={f"{field}x": None})
    assert answer.json["errors"][f"{field}x"] == [f"Unknown field. Did you mean '{field}'?"]


@one_database
@pytest.mark.parametrize("route", sorted(OPERATIONS.keys() - TAKING_ANYTHING))
def test_an_unknown_query_parameter_is_refused(asker: Person, route: str) -> None:
    answer = send(asker, route, query_string={"verbose": "1"})
    if "requestBody" in OPERATIONS[route] and answer.status_code in (400, 415):
        answer = send(asker, route, query_string={"verbose": "1"}, json={})
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"]["verbose"] == ["Unknown field."]


GREEDY = [
    ("sort", "password_hash"),
    ("sort", "-owner.email"),
    ("fields", "owner.email"),
    ("per_page", "1000000000"),
    ("per_page", "0"),
    ("page", "-1"),
    ("page", "99999999999999999999"),
    ("page", "٣"),
    ("q[$ne]", "1"),
]


@one_database
@pytest.mark.parametrize("route", LISTS)
def test_a_list_gives_no_more_than_it_offers(asker: Person, route: str) -> None:
    for name, value in GREEDY:
        answer = send(asker, route, query_string={name: value})
        assert (answer.status_code, list(answer.json["errors"])) == (422, [name]), value


@one_database
@pytest.mark.parametrize("route", LISTS)
def test_a_made_up_cursor_is_refused(asker: Person, route: str) -> None:
    for cursor in ("x", "eyJhIjoxfQ.AAAA", "%00", "é", "." * 3000):
        answer = send(asker, route, query_string={"cursor": cursor})
        assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor"), cursor


@pytest.mark.parametrize("route", ABOUT_OWN_THINGS)
def test_what_is_anothers_answers_exactly_like_what_does_not_exist(
    owner: Person, teammate: Person, route: str
) -> None:
    method, path = route.split(" ")
    missing = anothers = path
    for name in parameters_of(route):
        anothers = anothers.replace(f"<uuid:{name}>", THINGS[name](owner))
        missing = missing.replace(f"<uuid:{name}>", NOBODYS_ID)
    answers = [
        teammate.call(method, path, BODIES.get(route), headers={"X-Request-ID": "same"})
        for path in (anothers, missing)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].data == answers[1].data


@one_database
@pytest.mark.parametrize("identifier", ["1", "x", "01999999", "0" * 400, "..%2f..%2fetc", "%00", "'--"])
def test_an_id_that_is_none_finds_nothing(owner: Person, identifier: str) -> None:
    answer = owner.get(f"/api/schedules/{identifier}")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@one_database
@pytest.mark.parametrize("path", sorted({route.split(" ")[1] for route in TABLE}))
def test_a_method_that_is_not_offered_is_refused_with_those_that_are(client: FlaskClient, path: str) -> None:
    offered = {name.split(" ")[0] for name in TABLE if name.split(" ")[1] == path}
    for method in {"TRACE", "CONNECT", "PROPFIND", "PUT", "DELETE"} - offered:
        answer = client.open(re.sub(r"<uuid:\w+>", NOBODYS_ID, path), method=method)
        assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
        assert offered <= set(answer.headers["Allow"].split(", "))


def test_every_parameter_of_a_path_has_an_owner_in_the_matrix() -> None:
    assert {name for route in TABLE for name in parameters_of(route)} == set(SEEN_BY) == set(THINGS)


def test_the_lists_and_bodies_are_found() -> None:
    """Else the tests above would ask nobody."""
    assert {"GET /api/schedules", "GET /api/runs", "GET /api/auth/users"} <= set(LISTS)
    assert {"POST /api/schedules", "POST /api/auth/login", "PATCH /api/auth/me"} <= set(WITH_BODY)
    assert {"POST /api/files", "POST /api/files/raw"} <= set(RECEIVING)
    assert {route.split("<")[0] for route in TAKING_ANYTHING} >= {"GET /ping/", "POST /ping/"}
    assert {"GET /api/tasks", "GET /api/admin/audit"} <= WITH_TEXT_IN_QUERY.keys()
