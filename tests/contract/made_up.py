"""Made-up requests: what their maker is told of this API beyond the document, and who sends them."""

import copy
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

import schemathesis
import sqlalchemy as sa
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from taskapi.accounts.models import SignInSession, User
from taskapi.accounts.sign_in import authenticate
from taskapi.core.db import session
from tests.contract.things import THINGS, signed_in_again
from tests.document import DOCUMENT, DOCUMENT_APP
from tests.people import Person, make_person

# Which of these an operation may answer its document says. 400: a cursor that this API did not give out.
ACCEPTED = ["2xx", "3xx", "400", "404", "409", "412"]
# Whose outside id nobody has yet, it fits no If-Match, whatever the body is.
MADE_BY_PUT = "PUT /api/tasks/by-external-id/{external_id}"
# 401: of the Authorization that is left out.
REFUSED = ["400", "401", "404", "415", "422"]
# Each of these is asked well elsewhere, in test_good_requests: here it may be that no request ever fits.
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
# Nobody knows the password; whoever is asked for another key shows none that is good.
ASKED_FOR_PASSWORD = [
    "DELETE /api/auth/me",
    "POST /api/auth/me/password",
    "POST /api/auth/me/second-factor",
    "DELETE /api/auth/me/second-factor",
    "POST /api/auth/me/second-factor/recovery-codes",
]
ASKED_FOR_ANOTHER_KEY = ["POST /api/auth/login", "POST /api/auth/refresh"]
# A filter, a scope and actions for administrators.
FOR_ADMINISTRATORS = [
    "GET /api/tasks",
    "POST /api/auth/tokens",
    "POST /api/schedules",
    "PUT /api/schedules/{schedule_id}",
    "PATCH /api/schedules/{schedule_id}",
    "POST /api/schedules/{schedule_id}/run",
]
# How long a file is.
DOWNLOADS = ["GET /api/files/{file_id}/content", "GET /api/tasks/{task_id}/files/{file_id}"]
CONFIG: dict[str, Any] = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ACCEPTED},
        "negative_data_rejection": {"expected-statuses": REFUSED},
    },
    "operations": [
        *(
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {
                        "expected-statuses": [*ACCEPTED, "422", *["403"] * (name in FOR_ADMINISTRATORS)]
                    },
                    **(
                        {"negative_data_rejection": {"expected-statuses": [*REFUSED, "412"]}}
                        if name == MADE_BY_PUT
                        else {}
                    ),
                },
            }
            for name in BEYOND_SCHEMAS
        ),
        *(
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "415", "422"]},
                },
            }
            for name in UPLOADS
        ),
        *(
            {
                "include-name": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "416"]}},
            }
            for name in DOWNLOADS
        ),
        *(
            {
                "include-name": name,
                "checks": {
                    "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "403"]},
                    "negative_data_rejection": {"expected-statuses": [*REFUSED, "403"]},
                },
            }
            for name in (*ASKED_FOR_PASSWORD, *FOR_ADMINISTRATORS)
        ),
        *(
            {
                "include-name": name,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "401"]}},
            }
            for name in ASKED_FOR_ANOTHER_KEY
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


def load(examples: int, **more: Any) -> BaseSchema:
    """The API as the document describes it, to make up so many requests of each operation."""
    told = SchemathesisConfig.from_dict({**CONFIG, "generation": {"max-examples": examples}, **more})
    schema = schemathesis.openapi.from_dict(_word_for_word(), config=told)
    schema.app = current
    return schema


def _word_for_word() -> dict[str, Any]:
    """The document without its "any other error", by which each status would be one that it tells of."""
    document = copy.deepcopy(DOCUMENT)
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation["responses"].pop("default", None)
    return document


class Sender:
    """Who sends the requests: an administrator, or a user, for whom one asks what they may not."""

    def __init__(self, app: Flask, role: str) -> None:
        self.app = app
        self.person = make_person(app, f"{secrets.token_hex(4)}@example.org", role=role)
        self._admin = self.person
        if role != "admin":
            self._admin = make_person(app, f"{secrets.token_hex(4)}@example.org", role="admin")
        self._made: dict[str, str] = {}
        self._sent = ""

    def send(self, case: schemathesis.Case[Any]) -> None:
        """Send the request, which is then as it was before, and check the answer in every way there is."""
        made_up = dict(case.path_parameters or {})
        current.app = self.app
        self.prepare(re.findall(r"{(\w+)}", case.path))
        self.aim(case)
        case.call_and_validate(headers=self.headers(case.path), additional_checks=[self.is_let_in])
        (case.path_parameters or {}).update(made_up)

    def headers(self, path: str) -> dict[str, str]:
        """Under /api/auth with the token of a new session, as some requests end their own."""
        self.person, self._admin = self._let_in(self.person), self._let_in(self._admin)
        person = self._admin if path.startswith("/api/admin/") else self.person
        token = signed_in_again(person) if path.startswith("/api/auth/") else person.access_token
        self._sent = f"Bearer {token}"
        return {"Authorization": self._sent}

    def _let_in(self, person: Person) -> Person:
        """Whom an earlier request signed out signs in again; for whom it switched off comes another."""
        with self.app.app_context():
            is_active = sa.select(User.is_active).where(User.id == person.id)
            ended_at = sa.select(SignInSession.revoked_at).where(SignInSession.id == person.actor.session_id)
            if not session().scalar(is_active):
                return make_person(self.app, f"{secrets.token_hex(4)}@example.org", role=person.actor.role)
            if session().scalar(ended_at) is None:
                return person
            token = signed_in_again(person)
            return replace(person, access_token=token, actor=authenticate(token))

    def is_let_in(self, _context: Any, answer: Any, case: schemathesis.Case[Any]) -> None:
        """Check that nobody whose token is good is told that it is not."""
        if answer.status_code != 401 or answer.request.headers.get("Authorization") != self._sent:
            return
        asks_for_token = {"bearer"} & {
            name for each in case.operation.definition.raw["security"] for name in each
        }
        assert not asks_for_token, "Refused with a good token"

    def prepare(self, names: Iterable[str]) -> None:
        """Have things for these parameters of paths; each is made once."""
        for name in names:
            if name in THINGS and name not in self._made:
                self._made[name] = THINGS[name](self.person)

    def aim(self, case: schemathesis.Case[Any]) -> None:
        """Let every other made-up id be one that exists, or no request would ever find anything."""
        for name, value in (case.path_parameters or {}).items():
            if name in self._made and _is_even(value):
                case.path_parameters[name] = self._made[name]


def _is_even(value: Any) -> bool:
    try:
        return UUID(str(value)).int % 2 == 0
    except ValueError:
        return False
