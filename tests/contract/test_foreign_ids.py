"""Ids in queries, bodies and params of actions: another's is answered like one that nobody has."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.accounts.models import User
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.core.openapi import json_schema
from taskapi.core.schemas import Schema
from taskapi.schedules.actions.registry import installed
from taskapi.tasks.schemas import TaskFilters
from tests.contract.good_requests import GOOD_BODIES, app_of, failed_run
from tests.contract.operations import JSON, NOBODYS_ID, OPERATIONS
from tests.contract.things import THINGS, make_run, parameters_of
from tests.document import DOCUMENT
from tests.files.making import store
from tests.people import Person, make_person
from tests.schedules.actions.calling import run_now
from tests.settings import settings_changed
from tests.tasks.making import make_task
from tests.work import tick

pytestmark = pytest.mark.contract

NAMED_LIKE_IDS = re.compile(r"(^|_)ids?$")
TOLD_OF_AS_IDS = re.compile(r"\bids?\b", re.IGNORECASE)
AS_FOR = re.compile(r"As for `(.+)`")
# Of a request; and where a reader of live connections and changes was, which has tests of its own.
OF_NO_THING = {"request_id", "last_event_id", "since"}
# Tags are everybody's.
OF_EVERYBODY = {"tag", "tags"}
# What the document says in words alone: which fields such an object has.
FREE_OBJECTS: dict[str, type[Schema]] = {"report filters": TaskFilters}
# Their fields are no names of ours.
SENT_ON = {"webhook headers"}


def is_id(name: str, schema: dict[str, Any]) -> bool:
    said = TOLD_OF_AS_IDS.search(schema.get("description", ""))
    return schema.get("format") == "uuid" or bool(NAMED_LIKE_IDS.search(name) or said)


def ids_within(schema: dict[str, Any], path: str, name: str) -> Iterator[str]:
    """Where in a body ids stand."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if is_id(name, schema):
        yield path
        return
    if "items" in schema:
        yield from ids_within(schema["items"], f"{path}[]", name)
    if like := AS_FOR.search(schema.get("description", "")):
        yield from ids_within(body_of(like[1]), path, name)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from ids_within(each, path, name)
    for key, value in schema.get("properties", {}).items():
        yield from ids_within(value, f"{path}.{key}".lstrip("."), key)


def body_of(route: str) -> dict[str, Any]:
    content = OPERATIONS[route].get("requestBody", {}).get("content", {})
    found: dict[str, Any] = content.get(JSON, {}).get("schema", {})
    return found


def places() -> Iterator[str]:
    """All places of ids outside paths."""
    for route, operation in OPERATIONS.items():
        for one in operation.get("parameters", ()):
            schema = {**one["schema"], "description": one.get("description", "")}
            if one["in"] == "query" and set(ids_within(schema, one["name"], one["name"])):
                yield f"{route} ?{one['name']}"
        yield from sorted({f"{route} {path}" for path in ids_within(body_of(route), "", "")})
    for action in installed():
        yield from (f"{action.name} {path}" for path in ids_within(json_schema(action.params), "", ""))
    for place, fields in FREE_OBJECTS.items():
        yield from (f"{place}.{path}" for path in ids_within(json_schema(fields), "", ""))


def free_objects() -> Iterator[str]:
    """Params of actions of whose fields the document says nothing."""
    for action in installed():
        for name, schema in json_schema(action.params)["properties"].items():
            if "object" in schema.get("type", ()) and "properties" not in schema:
                yield f"{action.name} {name}"


def task(owner: Person) -> str:
    """A task with all by which one may be found."""
    made = make_task(owner, assignee_id=str(owner.id), external_id="PROJ-7")
    store(owner, task_id=UUID(made["id"]))
    return str(made["id"])


def audited(make: Callable[[Person], str]) -> Callable[[Person], str]:
    """Where only what the audit log has taken in is shown."""

    def make_it_known(owner: Person) -> str:
        identifier = make(owner)
        tick(app_of(owner))
        return identifier

    return make_it_known


def external_id(owner: Person) -> str:
    task(owner)
    return "PROJ-7"


def assignee(owner: Person) -> str:
    """Who has a task and a file."""
    task(owner)
    return str(owner.id)


def somebody(owner: Person) -> str:
    """Who has a run, too."""
    make_run(owner)
    return assignee(owner)


def schedule(owner: Person) -> str:
    run_id = failed_run(owner)["path"]["run_id"]
    return str(owner.get(f"/api/runs/{run_id}").json["schedule_id"])


def failed(owner: Person) -> str:
    return str(failed_run(owner)["path"]["run_id"])


def colleague(owner: Person) -> str:
    return str(make_person(app_of(owner), "carla@example.org").id)


FILTERS = {"assignee_id": assignee, "creator_id": assignee, "user_id": assignee, "external_id": external_id}
FIELDS = {"assignee_id": colleague, "external_id": external_id}
AUDIT = ("/api/admin/audit", "/api/admin/audit/export")
# Who has what the id names; of a colleague, whom everybody sees, it is asked once they are switched off.
MADE: dict[str, Callable[[Person], str]] = {
    **{
        f"GET {path} ?{name}": make
        for path in ("/api/tasks", "/api/admin/tasks", "/api/analytics/export")
        for name, make in FILTERS.items()
    },
    **{
        f"{route} {name}": make
        for route in (
            "POST /api/tasks",
            "PUT /api/tasks/<uuid:task_id>",
            "PATCH /api/tasks/<uuid:task_id>",
            "PUT /api/tasks/by-external-id/<path:external_id>",
        )
        for name, make in FIELDS.items()
    },
    **{f"POST /api/tasks/bulk tasks[].{name}": make for name, make in FIELDS.items()},
    "GET /api/files ?task_id": task,
    "GET /api/files ?owner_id": somebody,
    "GET /api/runs ?schedule_id": schedule,
    "POST /api/runs/retry run_ids": failed,
    "POST /api/runs/retry schedule_id": schedule,
    "GET /api/admin/runs ?schedule_id": schedule,
    "GET /api/admin/runs ?owner_id": somebody,
    "GET /api/admin/schedules ?owner_id": somebody,
    **{f"GET {path} ?subject_id": audited(task) for path in AUDIT},
    **{f"GET {path} ?actor": audited(somebody) for path in AUDIT},
    "DELETE /api/admin/users/<uuid:user_id> ?reassign_to": colleague,
    "GET /api/admin/users/<uuid:user_id>/deletion ?reassign_to": colleague,
    "reminder task_id": task,
    "create_task assignee_id": colleague,
    **{f"report filters.{name}": make for name, make in FILTERS.items()},
}


PARAMS = {
    "reminder": {"message": "Tea"},
    "create_task": {"title": "Tea"},
    "report": {"kind": "tasks", "format": "csv"},
}


def is_for_administrators(place: str) -> bool:
    """Whether anybody else is refused whatever they name, and administrators see everybody's things."""
    return " /api/admin/" in place


def ask(person: Person, place: str, value: str) -> Any:
    """What a good request with this id is answered; it is about a thing of whoever asks."""
    where, _, name = place.rpartition(" ")
    if " " not in where:
        outer, dot, inner = name.partition(".")
        return outcome(person, where, {**PARAMS[where], outer: {inner: value} if dot else value})
    method, path = where.split(" ")
    for parameter in parameters_of(where):
        path = path.replace(f"<uuid:{parameter}>", THINGS[parameter](person))
    path = path.replace("<path:external_id>", value if name == "external_id" else "of-ones-own")
    sent: dict[str, Any] = {"json": None if name.startswith("?") else with_id(where, name, value)}
    if name.startswith("?"):
        sent["query_string"] = {name[1:]: value, **({"format": "csv"} if path.endswith("s/export") else {})}
    answer = person.call(method, path, headers={"X-Request-ID": "same"}, **sent)
    # What was made or changed is a task of whoever asked.
    is_theirs = answer.status_code < 400 and method != "GET" and path.startswith("/api/tasks")
    return answer.status_code, None if is_theirs else answer.data


def outcome(person: Person, action: str, params: dict[str, Any]) -> Any:
    """Why a schedule with these params is refused, or what becomes of its run, and what it makes."""
    answer = person.post("/api/schedules", {"action": action, "params": params, "every": 3600})
    if answer.status_code != 201:
        return answer.status_code, answer.json["errors"]
    run = run_now(app_of(person), person, answer.json)
    kept = (run["result"] or {}).get("file_id")
    return run["status"], run["error"], person.get(f"/api/files/{kept}/content").data if kept else None


def with_id(route: str, name: str, value: str) -> Any:
    if name == "run_ids":
        return {name: [value]}
    if name.startswith("tasks[]."):
        return {"tasks": [{"title": "Tea", name.rpartition(".")[2]: value}]}
    return {**(GOOD_BODIES[route] if route != "POST /api/runs/retry" else {}), name: value}


def happened(app: Flask, owner: Person, identifier: str) -> list[str]:
    """Types of the events about the owner's things."""
    with app.app_context():
        about = sa.or_(Event.owner_id == owner.id, sa.cast(Event.subject_id, sa.String) == identifier)
        return list(session().scalars(sa.select(Event.type).where(about).order_by(Event.id)))


def switch_off(app: Flask, identifier: str) -> None:
    with app.app_context(), transaction():
        session().get_one(User, UUID(identifier)).is_active = False


@pytest.mark.parametrize("place", [place for place in MADE if not is_for_administrators(place)])
def test_anothers_id_is_answered_like_one_that_nobody_has(
    app: Flask, owner: Person, teammate: Person, place: str
) -> None:
    identifier = MADE[place](owner)
    if MADE[place] is colleague:
        switch_off(app, identifier)
    before = happened(app, owner, identifier)
    with settings_changed(app, team_sees_tasks=False):
        answer, missing = (ask(teammate, place, value) for value in (identifier, NOBODYS_ID))
    assert answer == missing
    # Whoever may not ask at all would be told the same of everything.
    assert answer[0] != 403
    assert happened(app, owner, identifier) == before


@pytest.mark.parametrize("place", MADE)
def test_whoever_may_see_the_thing_is_answered_otherwise(owner: Person, admin: Person, place: str) -> None:
    """Else the test above would compare two answers that mean nothing."""
    identifier = MADE[place](owner)
    caller = admin if is_for_administrators(place) else owner
    answer, missing = (ask(caller, place, value) for value in (identifier, NOBODYS_ID))
    assert answer != missing


def test_of_each_free_object_it_is_known_what_its_fields_are() -> None:
    assert set(free_objects()) == FREE_OBJECTS.keys() | SENT_ON


def test_each_place_of_an_id_is_asked() -> None:
    found = {place for place in places() if re.split(r"[ ?.]", place)[-1] not in OF_NO_THING | OF_EVERYBODY}
    assert found == MADE.keys()
