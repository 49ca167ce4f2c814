"""The OpenAPI document and the pages for people."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from taskapi.core.docs import PAGE_POLICY
from taskapi.core.errors import all_errors

METHODS = {"get", "post", "put", "patch", "delete"}
CODES = sorted({kind.code for kind in all_errors() if kind.__module__.startswith("taskapi.")})
PAGES = ["/docs", "/redoc"]


@pytest.fixture
def document(floor: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] | None = floor.get("/openapi.json").json
    assert found is not None
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each operation: its name, what it says, and what its path says."""
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method} {path}", item[method], item


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_is_an_openapi_31_document(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"].keys() >= {"title", "version"}
    assert document["paths"].keys() >= {"/health", "/api/auth/login", "/api/schedules"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_schema_is_json_schema(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_every_operation_has_a_summary_and_says_what_it_answers(document: dict[str, Any]) -> None:
    for name, operation, _item in operations(document):
        assert operation.get("summary"), name
        assert operation["responses"].keys() >= {"default"}, name
        # To switch to another protocol is a success too (RFC 9110, 15.2.2).
        assert any(status == "101" or status.startswith("2") for status in operation["responses"]), name
        assert all(answer["description"] for answer in operation["responses"].values()), name


def test_every_part_of_a_path_is_described(document: dict[str, Any]) -> None:
    for name, operation, item in operations(document):
        described = [*item.get("parameters", ()), *operation.get("parameters", ())]
        in_path = [entry["name"] for entry in described if entry["in"] == "path"]
        assert sorted(in_path) == sorted(re.findall(r"{(\w+)}", name)), name


def test_no_parameter_is_described_twice(document: dict[str, Any]) -> None:
    for name, operation, item in operations(document):
        described = [*item.get("parameters", ()), *operation.get("parameters", ())]
        keys = [(entry["in"], entry["name"]) for entry in described]
        assert len(keys) == len(set(keys)), name


def test_every_operation_says_whether_a_token_is_needed(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"].keys()
    for name, operation, _item in operations(document):
        assert {scheme for entry in operation["security"] for scheme in entry} <= schemes, name
    assert document["paths"]["/health"]["get"]["security"] == []
    assert document["paths"]["/api/auth/me"]["get"]["security"] == [{"bearer": ["read"]}]
    assert document["paths"]["/api/auth/logout"]["post"]["security"] == [{"bearer": ["session"]}]
    assert document["paths"]["/api/auth/refresh"]["post"]["security"] == [{"refresh": []}]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_all_it_needs_from_here(floor: FlaskClient, path: str) -> None:
    page = floor.get(path)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert page.headers["Content-Security-Policy"] == PAGE_POLICY
    assert not re.search(r"(?:https?:)?//", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    assert {floor.get(asset, buffered=True).status_code for asset in assets} == {200}


@pytest.mark.parametrize("name", ["swagger-start.js", "redoc-start.js"])
def test_a_page_shows_this_applications_document(floor: FlaskClient, name: str) -> None:
    script = floor.get(f"/docs/assets/{name}", buffered=True).text
    assert "/openapi.json" in script
    assert not re.search(r"https?://", script)


def test_assets_may_be_kept_for_a_day(floor: FlaskClient) -> None:
    asset = floor.get("/docs/assets/redoc-start.js", buffered=True)
    assert asset.cache_control.max_age == 86_400
    assert asset.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("code", CODES)
def test_every_problem_is_explained_to_programs_and_people(floor: FlaskClient, code: str) -> None:
    answer = floor.get(f"/problems/{code}", headers={"Accept": "application/json"})
    assert answer.json is not None
    assert answer.json["code"] == code
    assert answer.json["description"]
    page = floor.get(f"/problems/{code}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.mimetype == "text/html"
    assert f"<h1>{answer.json['title'].split(chr(39))[0]}" in page.text


def test_a_problem_without_a_wish_is_explained_in_json(floor: FlaskClient) -> None:
    assert floor.get("/problems/not_found", headers={"Accept": "*/*"}).mimetype == "application/json"


def test_a_problem_page_does_not_repeat_a_hostile_code(floor: FlaskClient) -> None:
    answer = floor.get("/problems/<script>alert(1)</script>", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
