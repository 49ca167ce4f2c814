"""Whatever the OpenAPI document allows or forbids, the API does: thousands of made-up requests."""

import re
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from taskapi.accounts import sign_in
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings
from tests.contract.test_matrix import THINGS
from tests.document import DOCUMENT_APP
from tests.people import Person

# PostgreSQL, the stricter of the two.
pytestmark = [pytest.mark.contract, pytest.mark.one_database("postgresql")]

# 400: a cursor that this API did not give out.
ACCEPTED = ["2xx", "3xx", "400", "401", "403", "404", "409", "412"]
# Whose outside id nobody has yet, it fits no If-Match, whatever the body is.
MADE_BY_PUT = "PUT /api/tasks/by-external-id/{external_id}"
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428", "429"]
# Rules that no schema can say: names of time zones and actions, cron lines, passwords, codes, what is past,
# periods that end before they begin.
BEYOND_SCHEMAS = [
    "POST /api/auth/register",
    "PUT /api/auth/me",
    "PATCH /api/auth/me",
    "POST /api/auth/me/second-factor/confirm",
    "POST /api/auth/password-reset/confirm",
    "POST /api/auth/tokens",
    "POST /api/auth/verify-email",
    "POST /api/calendar/feeds",
    "GET /api/analytics",
    "GET /api/analytics/performance",
    "GET /api/analytics/runs",
    "GET /api/analytics/trends",
    "POST /api/schedules",
    "POST /api/schedules/preview",
    "PUT /api/schedules/{schedule_id}",
    "PATCH /api/schedules/{schedule_id}",
    "POST /api/schedules/{schedule_id}/run",
    "POST /api/schedules/{schedule_id}/skip",
    "POST /api/schedules/{schedule_id}/backfill",
    # Which addresses may be called, which events there are, what is base64, how long an ISO 8601 duration is.
    "POST /api/webhooks",
    "PUT /api/webhooks/{webhook_id}",
    "PATCH /api/webhooks/{webhook_id}",
    "POST /api/webhooks/{webhook_id}/rotate-secret",
    # Who there is to be given a task, which tags there are, what Markdown becomes, a key with another body.
    "POST /api/tags",
    "POST /api/tasks",
    "POST /api/tasks/bulk",
    "PUT /api/tasks/{task_id}",
    "PATCH /api/tasks/{task_id}",
    MADE_BY_PUT,
    "POST /api/tasks/{task_id}/comments",
    "PUT /api/tasks/{task_id}/comments/{comment_id}",
    "PATCH /api/tasks/{task_id}/comments/{comment_id}",
    # What is an address, and who there is.
    "GET /api/admin/audit",
    "GET /api/admin/audit/export",
    # Time zones, passwords, and who there is to be an heir.
    "POST /api/admin/users",
    "PUT /api/admin/users/{user_id}",
    "PATCH /api/admin/users/{user_id}",
    "DELETE /api/admin/users/{user_id}",
    "GET /api/admin/users/{user_id}/deletion",
]
# Which contents, names and hashes belong together, no schema can say.
UPLOADS = [
    "POST /api/files",
    "POST /api/files/raw",
    "POST /api/tasks/{task_id}/files",
    "POST /api/tasks/import",
]
# In a form an empty list is sent as nothing at all: a hash that "became a list" is one that was left out.
BY_FORM = ["POST /api/files", "POST /api/tasks/{task_id}/files", "POST /api/tasks/import"]
# A null among the triggers is one that was not sent, which the schema's "one of these" cannot say.
WITH_TRIGGER = ["POST /api/schedules", "POST /api/schedules/preview"]
# In a query everything is text: an action that "became a boolean" is still a name.
FILTERED_BY_NAME = ["GET /api/runs", "GET /api/schedules", "GET /api/admin/runs", "GET /api/admin/schedules"]
CONFIG = {
    "generation": {"max-examples": 5},
    "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
    "operations": [
        *(
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]},
                    "negative_data_rejection": {
                        "enabled": name not in WITH_TRIGGER,
                        **({"expected-statuses": REFUSED} if name == MADE_BY_PUT else {}),
                    },
                },
            }
            for name in BEYOND_SCHEMAS
        ),
        *(
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "415", "422"]},
                    "negative_data_rejection": {"enabled": name not in BY_FORM},
                },
            }
            for name in UPLOADS
        ),
        *(
            {"include-name": name, "checks": {"negative_data_rejection": {"enabled": False}}}
            for name in FILTERED_BY_NAME
        ),
        # Tests speak no WebSocket.
        *(
            {
                "include-name": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": ["426"]}},
            }
            for name in ("GET /ws", "GET /ws/{token}")
        ),
        # Only gunicorn keeps connections open.
        {
            "include-name": "GET /api/events",
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
                "positive_data_acceptance": {"expected-statuses": ["503"]},
            },
        },
        # A token that nobody gave out may look like one.
        {
            "include-name": "GET /api/changes",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "410"]}},
        },
        # In tests no scheduler and no worker run: 503 is the right answer, and a documented one.
        {
            "include-name": "GET /api/health/ready",
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
                "positive_data_acceptance": {"expected-statuses": ["503"]},
            },
        },
    ],
}


class Current:
    """The application under test, which is another one for each database."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self.app(environ, start_response)


current = Current(DOCUMENT_APP)
schema = schemathesis.openapi.from_wsgi("/openapi.json", current, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture
def token_for(app: Flask, owner: Person, admin: Person) -> Callable[[str], str]:
    """The access token for a path: under /api/auth a new session's, as some requests end their own."""
    current.app = app

    def find(path: str) -> str:
        if path.startswith("/api/admin/"):
            return admin.access_token
        if not path.startswith("/api/auth/"):
            return owner.access_token
        with app.app_context(), transaction():
            return sign_in.start_session(settings=runtime_settings(), user_id=owner.id).access_token

    return find


@pytest.fixture
def existing(owner: Person) -> Callable[[list[str]], dict[str, str]]:
    """Finds ids of things that are there, by the names of a path's parameters; each is made once."""
    made: dict[str, str] = {}

    def find(names: list[str]) -> dict[str, str]:
        for name in names:
            if name not in made and name in THINGS:
                made[name] = THINGS[name](owner)
        return made

    return find


def aim(case: schemathesis.Case[Any], existing: Callable[[list[str]], dict[str, str]]) -> None:
    """Let every other made-up id be one that exists, or no request would ever find anything."""
    found = existing(re.findall(r"{(\w+)}", case.path))
    for name, value in (case.path_parameters or {}).items():
        if name in found and _is_even(value):
            case.path_parameters[name] = found[name]


def _is_even(value: Any) -> bool:
    try:
        return UUID(str(value)).int % 2 == 0
    except ValueError:
        return False


@schema.parametrize()
# The same examples each time: a change fails by what it changed.
@settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_does_what_the_document_says(
    case: schemathesis.Case[Any],
    token_for: Callable[[str], str],
    existing: Callable[[list[str]], dict[str, str]],
) -> None:
    aim(case, existing)
    case.call_and_validate(headers={"Authorization": f"Bearer {token_for(case.path)}"})
