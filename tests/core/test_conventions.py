"""What every endpoint does without asking for it."""

import json

import pytest
from flask.testing import FlaskClient

from taskapi.core.http import SECURITY_HEADERS
from tests.core.floor import THING_ID


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/probe/things", 200), ("POST", "/probe/things", 201), ("DELETE", "/probe/things/1", 204)],
)
def test_a_trailing_slash_is_the_same_path(floor: FlaskClient, method: str, path: str, status: int) -> None:
    body: dict[str, str] | None = {} if method == "POST" else None
    plain = floor.open(path, method=method, json=body)
    slashed = floor.open(f"{path}/", method=method, json=body)
    assert (plain.status_code, slashed.status_code) == (status, status)
    assert plain.data == slashed.data
    assert plain.headers.get("Location") == slashed.headers.get("Location")


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("/probe/things?color=red", "color", "Unknown field. Did you mean 'colour'?"),
        ("/probe/things?zzz=1", "zzz", "Unknown field."),
        ("/probe/things/1?colour=red", "colour", "Unknown field."),
        ("/probe/things?colour=a&colour=b", "colour", "Send it once."),
        ("/probe/things?colour=a%00b", "colour", "Text must not contain the NUL character."),
        ("/probe/things?%00=1", "\x00", "Text must not contain the NUL character."),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(
    floor: FlaskClient, path: str, name: str, message: str
) -> None:
    answer = floor.get(path)
    assert answer.status_code == 422
    # Our own reader would refuse the NUL that is quoted here.
    assert json.loads(answer.text)["errors"] == {name: [message]}


def test_a_filter_may_be_repeated_where_it_is_a_list(floor: FlaskClient) -> None:
    assert floor.get("/probe/things?tag=a&tag=b&colour=red").json == {"tag": ["a", "b"], "colour": "red"}


def test_an_unknown_field_is_refused_with_the_one_that_was_meant(floor: FlaskClient) -> None:
    answer = floor.post("/probe/things", json={"verzion": 1, "q": 1})
    assert answer.json is not None
    assert answer.json["errors"] == {
        "verzion": ["Unknown field. Did you mean 'version'?"],
        "q": ["Unknown field."],
    }


@pytest.mark.parametrize("offered", ["abc", "a" * 128, "0123-4567", "req:1/2=3+4_5.6"])
def test_a_sane_request_id_is_kept(floor: FlaskClient, offered: str) -> None:
    assert floor.get("/health", headers={"X-Request-ID": offered}).headers["X-Request-ID"] == offered


@pytest.mark.parametrize("offered", ["", "a" * 129, "a b", 'a"b', "<script>", "ü"])
def test_another_request_id_is_replaced(floor: FlaskClient, offered: str) -> None:
    made = floor.get("/health", headers={"X-Request-ID": offered}).headers["X-Request-ID"]
    assert made != offered
    assert len(made) == 36


def test_each_request_without_an_id_gets_its_own(floor: FlaskClient) -> None:
    assert len({floor.get("/health").headers["X-Request-ID"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    "path", ["/health", "/nowhere", "/probe/bug", "/probe/read", "/probe/crowded", "/probe/things?x=1"]
)
def test_every_answer_has_the_security_headers(floor: FlaskClient, path: str) -> None:
    assert dict(floor.get(path).headers).items() >= SECURITY_HEADERS.items()


@pytest.mark.parametrize(("path", "tag"), [("/probe/things/1", '"v3"'), ("/probe/tagged", '"own"')])
def test_a_resource_has_a_tag_by_which_it_is_known_again(floor: FlaskClient, path: str, tag: str) -> None:
    answer = floor.get(path)
    assert answer.headers["ETag"] == tag
    again = floor.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize("known", ['W/"v3"', '"other", "v3"', "*"])
def test_a_tag_is_compared_weakly(floor: FlaskClient, known: str) -> None:
    assert floor.get("/probe/things/1", headers={"If-None-Match": known}).status_code == 304


@pytest.mark.parametrize("known", ['"v2"', '"v33"', "v", ""])
def test_another_tag_gets_the_resource(floor: FlaskClient, known: str) -> None:
    assert floor.get("/probe/things/1", headers={"If-None-Match": known}).status_code == 200


def test_head_tells_what_get_would(floor: FlaskClient) -> None:
    get, head = floor.get("/probe/things/1"), floor.head("/probe/things/1")
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", get.headers["ETag"])
    assert head.content_length == get.content_length
    assert floor.head("/probe/things/1", headers={"If-None-Match": '"v3"'}).status_code == 304


def test_what_was_created_says_where_it_is(floor: FlaskClient) -> None:
    assert floor.post("/probe/things", json={}).headers["Location"] == f"/probe/things/{THING_ID}"


def test_options_tells_the_methods_to_anybody(floor: FlaskClient) -> None:
    answer = floor.options("/api/auth/me")
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (200, b"", False)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}


def test_a_deletion_answers_nothing(floor: FlaskClient) -> None:
    answer = floor.delete("/probe/things/1")
    assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False)


def test_doubled_slashes_are_another_path_and_no_redirect_in_html(client: FlaskClient) -> None:
    answer = client.get("/api//health")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
