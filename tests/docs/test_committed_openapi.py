"""The committed OpenAPI document is the one that is served, and breaks no client of the last release."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from taskapi.core.openapi import CONTROLS, PRINTABLE
from taskapi.core.schemas import WITHOUT_NUL
from taskapi.version import VERSION
from tests.docs import pages
from tests.docs.breaking import breaking_changes, essence
from tests.document import DOCUMENT

Change = Callable[[dict[str, Any]], Any]
# What let somebody do what they may not is mended in any release; the changelog tells of it.
MENDED = {
    f"{operation}: needs another permission"
    for operation in (
        "POST /api/calendar/feeds",
        "POST /api/webhooks",
        "PUT /api/webhooks/{webhook_id}",
        "PATCH /api/webhooks/{webhook_id}",
        "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    )
}
RELEASED: dict[str, Any] = json.loads(pages.RELEASED.read_text(encoding="utf-8"))


def family(version: str) -> tuple[str, ...]:
    """Whose clients a version keeps (Semantic Versioning): of its major, below 1 of its minor version."""
    major, minor, _patch = version.split(".")
    return (major, minor) if major == "0" else (major,)


@pytest.mark.one_database
def test_the_committed_document_is_the_one_that_is_served(client: FlaskClient) -> None:
    committed = pages.OPENAPI.read_text(encoding="utf-8")
    assert committed == pages.openapi_file(), "make docs"
    assert json.loads(committed) == client.get("/openapi.json").json


def test_no_client_of_the_last_release_breaks() -> None:
    breaking = [change for change in breaking_changes(RELEASED, essence(DOCUMENT)) if change not in MENDED]
    assert breaking == [] or family(RELEASED["info"]["version"]) != family(VERSION), "a new major version"


def test_what_was_mended_since_the_last_release_is_still_a_change() -> None:
    assert set(breaking_changes(RELEASED, essence(DOCUMENT))) >= MENDED, "it is in the last release"


def test_the_last_release_stays_until_there_is_a_new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(pages.released_file()) == RELEASED
    newer = {**DOCUMENT, "info": {**DOCUMENT["info"], "version": "99.0.0"}}
    monkeypatch.setattr(pages, "DOCUMENT", newer)
    taken_over = json.loads(pages.released_file())
    assert taken_over == essence(json.loads(pages.OPENAPI.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("version", "kept"), [("0.1.4", True), ("0.2.0", False), ("1.1.0", False), ("0.1.0", True)]
)
def test_a_new_major_version_may_break(version: str, kept: bool) -> None:
    assert (family("0.1.0") == family(version)) is kept
    assert family("2.0.0") == family("2.7.1") != family("3.0.0")


def changed(change: Change) -> list[str]:
    new = copy.deepcopy(DOCUMENT)
    change(new)
    return breaking_changes(DOCUMENT, new)


def of_task(new: dict[str, Any], method: str = "post") -> dict[str, Any]:
    path = "/api/tasks" if method in ("post", "get") else "/api/tasks/{task_id}"
    found: dict[str, Any] = new["paths"][path][method]
    return found


def schema(new: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = new["components"]["schemas"][name]
    return found


def field(new: dict[str, Any], name: str, of: str) -> dict[str, Any]:
    found: dict[str, Any] = schema(new, of)["properties"][name]
    return found


def part_of_path(new: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = new["paths"]["/api/tasks/{task_id}"]["parameters"][0]["schema"]
    return found


def rename_part(new: dict[str, Any]) -> None:
    tag = new["paths"].pop("/api/tags/{tag_id}")
    tag["parameters"][0]["name"] = "id"
    new["paths"]["/api/tags/{id}"] = tag


def parameter(new: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in of_task(new, "get")["parameters"] if each["name"] == name)


BREAKING: dict[str, tuple[Change, str]] = {
    "a path": (lambda new: new["paths"].pop("/api/tasks/bulk"), "POST /api/tasks/bulk: removed"),
    "a method": (
        lambda new: new["paths"]["/api/tasks/{task_id}"].pop("delete"),
        "DELETE /api/tasks/{task_id}: removed",
    ),
    "a status": (lambda new: of_task(new)["responses"].pop("201"), "POST /api/tasks: 201: removed"),
    "a header": (
        lambda new: of_task(new)["responses"]["201"]["headers"].pop("Location"),
        "POST /api/tasks: 201: header Location: removed",
    ),
    "a kind of answer": (
        lambda new: of_task(new)["responses"]["201"].update(content={}),
        "POST /api/tasks: 201: application/json: removed",
    ),
    "a field of an answer": (
        lambda new: schema(new, "Comment")["properties"].pop("content_html"),
        "POST /api/tasks/{task_id}/comments: 201.content_html: removed",
    ),
    "a field that may be missing now": (
        lambda new: schema(new, "Comment")["required"].remove("content"),
        "POST /api/tasks/{task_id}/comments: 201.content: optional",
    ),
    "the type of a field of an answer": (
        lambda new: field(new, "version", "Comment").update(type="string"),
        "POST /api/tasks/{task_id}/comments: 201.version: has another type",
    ),
    "a field that may be null now": (
        lambda new: field(new, "version", "Comment").update(type=["integer", "null"]),
        "POST /api/tasks/{task_id}/comments: 201.version: has another type",
    ),
    "the format of a field of an answer": (
        lambda new: field(new, "created_at", "Comment").update(format="date"),
        "POST /api/tasks/{task_id}/comments: 201.created_at: has another format",
    ),
    "a new field that must be sent": (
        lambda new: schema(new, "NewComment").update(required=["content", "mood"]),
        "POST /api/tasks/{task_id}/comments: body.mood: required",
    ),
    "a field that is not taken any more": (
        lambda new: schema(new, "NewTask")["properties"].pop("city"),
        "POST /api/tasks: body.city: removed",
    ),
    "fewer values": (
        lambda new: field(new, "priority", "NewTask")["enum"].pop(0),
        "POST /api/tasks: body.priority: takes fewer values",
    ),
    "values where all were taken": (
        lambda new: field(new, "title", "NewTask").update(enum=["Tea"]),
        "POST /api/tasks: body.title: takes fewer values",
    ),
    "the type of a field of a request": (
        lambda new: field(new, "title", "NewTask").update(type="integer"),
        "POST /api/tasks: body.title: has another type",
    ),
    "a stricter length": (
        lambda new: field(new, "title", "NewTask").update(maxLength=3),
        "POST /api/tasks: body.title: has a stricter maxLength",
    ),
    "a stricter minimum": (
        lambda new: parameter(new, "page")["schema"].update(minimum=2),
        "GET /api/tasks: query page: has a stricter minimum",
    ),
    "the format of a part of a path": (
        lambda new: part_of_path(new).update(format="ulid"),
        "/api/tasks/{task_id}: path task_id: has another format",
    ),
    "the type of a part of a path": (
        lambda new: part_of_path(new).update(type="integer"),
        "/api/tasks/{task_id}: path task_id: has another type",
    ),
    "another default of a parameter": (
        lambda new: parameter(new, "per_page")["schema"].update(default=50),
        "GET /api/tasks: query per_page: has another default",
    ),
    "no default of a field": (
        lambda new: field(new, "overlap", "NewSchedule").pop("default"),
        "POST /api/schedules: body.overlap: has another default",
    ),
    "another pattern": (
        lambda new: field(new, "title", "NewTask").update(pattern="^a"),
        "POST /api/tasks: body.title: has another pattern",
    ),
    "a pattern": (
        lambda new: field(new, "username", "Login").update(pattern="^a"),
        "POST /api/auth/login: body.username: has another pattern",
    ),
    "a parameter": (
        lambda new: of_task(new, "get")["parameters"].remove(parameter(new, "q")),
        "GET /api/tasks: query q: removed",
    ),
    "a parameter that must be sent": (
        lambda new: parameter(new, "q").update(required=True),
        "GET /api/tasks: query q: required",
    ),
    "a body that must be sent": (
        lambda new: new["paths"]["/api/tasks/{task_id}/restore"]["post"].update(
            requestBody={"required": True, "content": {}}
        ),
        "POST /api/tasks/{task_id}/restore: body: required",
    ),
    "a kind of body": (
        lambda new: of_task(new)["requestBody"]["content"].pop("application/json"),
        "POST /api/tasks: body: application/json: removed",
    ),
    "another permission": (
        lambda new: of_task(new, "get").update(security=[{"bearer": ["admin"]}]),
        "GET /api/tasks: needs another permission",
    ),
    "no more fields than are named": (
        lambda new: field(new, "params", "NewSchedule").update(additionalProperties=False),
        "POST /api/schedules: body.params: takes no more fields than it names",
    ),
    "one way fewer to choose": (
        lambda new: schema(new, "NewSchedule")["oneOf"].pop(),
        "POST /api/schedules: body: takes fewer choices of fields",
    ),
    "one alternative fewer": (
        lambda new: field(new, "every", "NewSchedule")["anyOf"].pop(0),
        "POST /api/schedules: body.every: has another type",
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_found(name: str) -> None:
    change, words = BREAKING[name]
    assert words in changed(change)


HARMLESS: dict[str, Change] = {
    "nothing": lambda new: None,
    "a new path": lambda new: new["paths"].update({"/api/moods": {"get": {}}}),
    "a new answer": lambda new: of_task(new)["responses"].update({"418": {}}),
    "a new field of an answer": lambda new: schema(new, "Comment")["properties"].update(mood={}),
    "a new field of a request": lambda new: schema(new, "NewTask")["properties"].update(mood={}),
    "more values": lambda new: field(new, "priority", "NewTask")["enum"].append("whatever"),
    "a looser length": lambda new: field(new, "title", "NewTask").update(maxLength=100_000),
    "null is taken, too": lambda new: field(new, "title", "NewTask").update(type=["string", "null"]),
    "a new parameter": lambda new: of_task(new, "get")["parameters"].append(
        {"in": "query", "name": "mood", "schema": {}}
    ),
    "other words": lambda new: of_task(new).update(summary="Make one", description="Well."),
    "another name of a part of a path": lambda new: rename_part(new),
    "that a text has no NUL": lambda new: field(new, "username", "Login").update(WITHOUT_NUL),
    "a new code": lambda new: field(new, "code", "Problem")["enum"].append("new_code"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_is_none(name: str) -> None:
    assert changed(HARMLESS[name]) == []


def test_that_a_text_is_not_blank_may_be_told_later() -> None:
    old = copy.deepcopy(DOCUMENT)
    field(old, "title", "NewTask").update(pattern=PRINTABLE.format(CONTROLS))
    assert breaking_changes(old, DOCUMENT) == []
    field(old, "title", "NewTask").pop("minLength")
    assert "POST /api/tasks: body.title: has a stricter minLength" in breaking_changes(old, DOCUMENT)


def test_words_of_which_there_never_were_others_may_be_listed_later() -> None:
    old = copy.deepcopy(DOCUMENT)
    filters = old["paths"]["/api/runs"]["get"]["parameters"]
    (reason,) = (each["schema"]["items"] for each in filters if each["name"] == "reason")
    listed = reason.pop("enum")
    assert breaking_changes(old, DOCUMENT) == []
    reason["enum"] = [*listed, "another"]
    assert "GET /api/runs: query reason[]: takes fewer values" in breaking_changes(old, DOCUMENT)


def test_what_no_program_depends_on_is_left_out_and_fields_of_such_a_name_are_not() -> None:
    kept = essence(DOCUMENT)
    assert "description" not in kept["paths"]["/api/tasks"]["post"]
    assert "title" in kept["components"]["schemas"]["NewTask"]["properties"]
    assert breaking_changes(DOCUMENT, kept) == breaking_changes(kept, DOCUMENT) == []


def test_a_schema_that_contains_itself_is_looked_at_once() -> None:
    new = copy.deepcopy(DOCUMENT)
    for each in (old := copy.deepcopy(DOCUMENT), new):
        schema(each, "Comment")["properties"]["answers"] = {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Comment"},
        }
    field(new, "version", "Comment")["type"] = "string"
    assert any(words.endswith("201.version: has another type") for words in breaking_changes(old, new))
