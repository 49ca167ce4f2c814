"""Whatever the OpenAPI document allows or forbids, the API does: thousands of made-up requests."""

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
from tests.document import DOCUMENT_APP
from tests.people import Person
from tests.rules.test_matrix import THINGS

pytestmark = pytest.mark.contract

# 400: a cursor that this API did not give out.
ACCEPTED = ["2xx", "3xx", "400", "401", "403", "404", "409", "412"]
# Rules that no schema can say: names of time zones and actions, cron lines, passwords, codes, what is past.
BEYOND_SCHEMAS = [
    "POST /api/auth/register",
    "PUT /api/auth/me",
    "PATCH /api/auth/me",
    "POST /api/auth/me/second-factor/confirm",
    "POST /api/auth/password-reset/confirm",
    "POST /api/auth/tokens",
    "POST /api/auth/verify-email",
    "POST /api/schedules",
    "POST /api/schedules/preview",
    "PUT /api/schedules/{schedule_id}",
    "PATCH /api/schedules/{schedule_id}",
    "POST /api/schedules/{schedule_id}/run",
    "POST /api/schedules/{schedule_id}/skip",
    "POST /api/schedules/{schedule_id}/backfill",
]
# In a query everything is text: an action that "became a boolean" is still a name.
FILTERED_BY_NAME = ["GET /api/runs", "GET /api/schedules"]
CONFIG = {
    "generation": {"max-examples": 8},
    "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
    "operations": [
        *(
            {
                "include-name": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
            }
            for name in BEYOND_SCHEMAS
        ),
        *(
            {"include-name": name, "checks": {"negative_data_rejection": {"enabled": False}}}
            for name in FILTERED_BY_NAME
        ),
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
def fresh_token(app: Flask, owner: Person) -> Callable[[], str]:
    """Makes an access token of a new session: some requests end the one they came with."""
    current.app = app

    def new_token() -> str:
        with app.app_context(), transaction():
            return sign_in.start_session(settings=runtime_settings(), user_id=owner.id).access_token

    return new_token


@pytest.fixture
def existing(owner: Person) -> dict[str, str]:
    """Ids of things that are there, by the name of the path's parameter."""
    return {name: make_thing(owner) for name, make_thing in THINGS.items()}


def aim(case: schemathesis.Case[Any], existing: dict[str, str]) -> None:
    """Let every other made-up id be one that exists, or no request would ever find anything."""
    for name, value in (case.path_parameters or {}).items():
        if name in existing and _is_even(value):
            case.path_parameters[name] = existing[name]


def _is_even(value: Any) -> bool:
    try:
        return UUID(str(value)).int % 2 == 0
    except ValueError:
        return False


@schema.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_does_what_the_document_says(
    case: schemathesis.Case[Any], fresh_token: Callable[[], str], existing: dict[str, str]
) -> None:
    aim(case, existing)
    case.call_and_validate(headers={"Authorization": f"Bearer {fresh_token()}"})
