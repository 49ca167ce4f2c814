"""The OpenAPI document leads from what was made to what can be done with it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.document import DOCUMENT
from tests.people import Person

# What has no id, or several.
WITHOUT = {
    "post /api/auth/register",
    "post /api/auth/me/second-factor",
    "post /api/tasks/bulk",
    "post /api/tasks/{task_id}/files",
}


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """The answers that tell where a new thing is."""
    for path, item in DOCUMENT["paths"].items():
        for method in ("post", "put"):
            for status in ("201", "202"):
                answer = item.get(method, {}).get("responses", {}).get(status, {})
                if "Location" in answer.get("headers", {}):
                    yield f"{method} {path}", answer


def target_of(link: dict[str, Any]) -> tuple[str, str]:
    """The path and the method that a link leads to."""
    _, _, path, method = link["operationRef"].split("/")
    return unquote(path).replace("~1", "/").replace("~0", "~"), method


def test_whatever_is_made_leads_to_the_operations_on_it() -> None:
    assert {name for name, answer in answers() if "links" not in answer} == WITHOUT


def test_a_link_leads_to_an_operation_and_fills_its_path() -> None:
    links = [link for _, answer in answers() for link in answer.get("links", {}).values()]
    assert links
    for link in links:
        path, method = target_of(link)
        assert method in DOCUMENT["paths"][path]
        assert re.findall(r"{(\w+)}", path) == list(link["parameters"])


def test_a_schedule_leads_to_all_that_is_right_below_it() -> None:
    links = DOCUMENT["paths"]["/api/schedules"]["post"]["responses"]["201"]["links"]
    assert {"get", "put", "patch", "delete", "post-pause", "get-runs", "post-run"} <= links.keys()
    assert links["get-runs"] == {
        "operationRef": "#/paths/~1api~1schedules~1%7Bschedule_id%7D~1runs/get",
        "parameters": {"schedule_id": "$response.body#/id"},
    }


def test_a_nested_thing_takes_its_parent_from_where_it_stands() -> None:
    comments = DOCUMENT["paths"]["/api/tasks/{task_id}/comments"]["post"]
    parameters = {"task_id": "$request.path.task_id", "comment_id": "$response.body#/id"}
    assert comments["responses"]["201"]["links"]["get"]["parameters"] == parameters
    deliveries = DOCUMENT["paths"]["/api/webhooks/{webhook_id}/test"]["post"]
    parameters = {"webhook_id": "$response.body#/webhook_id", "delivery_id": "$response.body#/id"}
    assert deliveries["responses"]["202"]["links"]["get"]["parameters"] == parameters


@pytest.mark.one_database
def test_a_link_leads_where_the_answer_says_the_thing_is(owner: Person) -> None:
    made = owner.post("/api/tags", {"name": "home"})
    path, method = target_of(DOCUMENT["paths"]["/api/tags"]["post"]["responses"]["201"]["links"]["get"])
    assert path.replace("{tag_id}", made.json["id"]) == made.headers["Location"]
    assert owner.call(method.upper(), made.headers["Location"]).json == made.json
