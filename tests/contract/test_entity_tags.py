"""Each single thing answers an ETag, and each change of such a thing heeds If-Match, as the document says."""

import re
from typing import Any

import pytest

from tests.contract.good_requests import good_request
from tests.contract.operations import OPERATIONS
from tests.people import Person

pytestmark = pytest.mark.contract

COMPUTED = "it is computed when it is asked for"
OF_PROBES = "programs that watch or call from outside read it, and keep nothing"
PAGE = "a page for people, who followed a link"
STREAM = "it has no end, and goes on from a place of its own"
# What is read alone and has no tag, and why.
WITHOUT_TAG = {
    "GET /health": OF_PROBES,
    "GET /api/health": OF_PROBES,
    "GET /api/health/ready": OF_PROBES,
    "GET /metrics": OF_PROBES,
    "GET /ping/<token>": OF_PROBES,
    "GET /ping/<token>/fail": OF_PROBES,
    "GET /api/admin/stats": COMPUTED,
    "GET /api/admin/audit/export": COMPUTED,
    "GET /api/admin/users/<uuid:user_id>/deletion": COMPUTED,
    "GET /api/analytics": COMPUTED,
    "GET /api/analytics/overview": COMPUTED,
    "GET /api/analytics/trends": COMPUTED,
    "GET /api/analytics/export": COMPUTED,
    "GET /api/notifications/unread-count": COMPUTED,
    "GET /api/auth/me/second-factor": "who changes it shows a password or a code, whatever they have seen",
    "GET /api/auth/password-reset/confirm": PAGE,
    "GET /api/auth/verify-email": PAGE,
    "GET /api/notifications/unsubscribe/<token>": PAGE,
    "GET /api/changes": STREAM,
    "GET /api/events": STREAM,
}
MAKES_ANOTHER = "it makes another thing, and leaves the one it is about as it is"
SHOWS_ITSELF = "the password or the code that is sent says more than a tag"
# What is done with a thing that has a tag, whichever it has, and why.
UNCONDITIONAL = {
    "POST /api/auth/me/password": SHOWS_ITSELF,
    "POST /api/auth/me/second-factor": SHOWS_ITSELF,
    "DELETE /api/auth/me/second-factor": SHOWS_ITSELF,
    "POST /api/files/<uuid:file_id>/verify": "nothing changes of what is told of the file",
    "POST /api/schedules/<uuid:schedule_id>/run": MAKES_ANOTHER,
    "POST /api/schedules/<uuid:schedule_id>/backfill": MAKES_ANOTHER,
    "POST /api/tasks/<uuid:task_id>/comments": MAKES_ANOTHER,
    "POST /api/tasks/<uuid:task_id>/files": MAKES_ANOTHER,
    "POST /api/webhooks/<uuid:webhook_id>/test": MAKES_ANOTHER,
    "POST /api/webhooks/<uuid:webhook_id>/redeliver": "it changes deliveries, not the webhook",
}
# They are found by other names than those under which they are read.
NAMED_OTHERWISE = {
    "/api/tasks/by-external-id/<path:external_id>": "/api/tasks/<uuid:task_id>",
    "/api/admin/tasks/<uuid:task_id>": "/api/tasks/<uuid:task_id>",
    "/api/admin/schedules/<uuid:schedule_id>": "/api/schedules/<uuid:schedule_id>",
}
# Nobody reads the thing before: it is deleted, or read under another name.
UNREAD = {"POST /api/tasks/<uuid:task_id>/restore"}


def answers_tag(operation: dict[str, Any], status: str = "200") -> bool:
    return "ETag" in operation["responses"].get(status, {}).get("headers", {})


def is_list(operation: dict[str, Any]) -> bool:
    return "per_page" in {parameter["name"] for parameter in operation.get("parameters", ())}


def heeds_if_match(operation: dict[str, Any]) -> bool:
    return "If-Match" in {parameter["name"] for parameter in operation.get("parameters", ())}


SINGLE = sorted(
    route
    for route, operation in OPERATIONS.items()
    if route.startswith("GET") and "200" in operation["responses"] and not is_list(operation)
)
TAGGED = [route for route in SINGLE if answers_tag(OPERATIONS[route])]


def read_by(route: str) -> str | None:
    """How the thing is read that a request changes: under its own path, or without the verb at the end."""
    path = route.split(" ")[1]
    for each in (path, path.rpartition("/")[0]):
        reading = f"GET {NAMED_OTHERWISE.get(each, each)}"
        if reading in TAGGED:
            return reading
    return None


CHANGES = sorted(route for route in OPERATIONS if not route.startswith("GET") and read_by(route))
CONDITIONAL = [route for route in CHANGES if heeds_if_match(OPERATIONS[route])]


@pytest.fixture
def asker(owner: Person, admin: Person, route: str) -> Person:
    """Somebody who may ask for the route."""
    return admin if " /api/admin/" in route else owner


def success_of(route: str) -> int:
    return min(int(status) for status in OPERATIONS[route]["responses"] if status[0] == "2")


def tag_before(person: Person, route: str, path: str) -> str:
    """The tag of the thing that a request at this path would change; or any."""
    reading = read_by(route)
    if route in UNREAD or reading is None or "by-external-id" in path:
        return "*"
    if " /api/admin/" not in reading:
        path = path.replace("/api/admin/", "/api/")
    path = "/".join(path.split("/")[: reading.count("/") + 1])
    return person.get(path, buffered=True).headers["ETag"]


def test_each_single_thing_answers_a_tag_but_what_is_listed_here() -> None:
    assert set(SINGLE) - set(TAGGED) == WITHOUT_TAG.keys()
    assert [route for route in TAGGED if not answers_tag(OPERATIONS[route], "304")] == []


def test_each_change_of_a_tagged_thing_heeds_if_match_but_what_is_listed_here() -> None:
    assert set(CHANGES) - set(CONDITIONAL) == UNCONDITIONAL.keys()
    assert [route for route in CONDITIONAL if "412" not in OPERATIONS[route]["responses"]] == []
    # Else a change would ask for a tag that nobody is told.
    heeding = {route for route, operation in OPERATIONS.items() if heeds_if_match(operation)}
    assert {route for route in heeding if not route.startswith("GET")} == {*CONDITIONAL}


@pytest.mark.parametrize("route", TAGGED)
def test_the_same_thing_has_the_same_tag_and_is_not_sent_twice(asker: Person, route: str) -> None:
    _method, path, options = good_request(asker, route, 200)
    first, second = (asker.get(path, buffered=True, **options) for _ in range(2))
    assert re.fullmatch(r'"[!#-~]+"', first.headers["ETag"])
    assert (first.status_code, first.headers["ETag"]) == (200, second.headers["ETag"])
    again = asker.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


@pytest.mark.parametrize("route", CONDITIONAL)
def test_a_change_is_made_with_the_tag_that_was_read_and_with_no_other(asker: Person, route: str) -> None:
    method, path, options = good_request(asker, route, success_of(route))
    tag = tag_before(asker, route, path)
    # Of nothing, of something else, and for what is not to be there.
    for refused in ({"If-Match": '"v99"'}, {"If-Match": '"stale.0"'}, {"If-None-Match": "*"}):
        answer = asker.call(method, path, headers=refused, **options)
        assert (answer.status_code, answer.json["code"]) == (412, "precondition_failed"), refused
    assert tag_before(asker, route, path) == tag
    assert asker.call(method, path, headers={"If-Match": tag}, **options).status_code == success_of(route)
