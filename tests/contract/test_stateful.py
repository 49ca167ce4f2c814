"""What was made can be read, changed and deleted, and what was deleted is gone: made-up chains of requests.

The links of the OpenAPI document say what may follow what was made.
"""

from collections import Counter
from http import HTTPStatus
from typing import Any, cast

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput
from schemathesis.specs.openapi.checks import negative_data_rejection, use_after_free

from tests.conftest import empty
from tests.contract.made_up import Sender, current, load
from tests.people import make_person

pytestmark = pytest.mark.contract

ROLES = ["user", "admin"]
# Mostly no schema can say all that such a body must fulfil, and a chain begins with something that is made.
MAKING: dict[str, dict[str, Any]] = {
    "POST /api/tasks": {"title": "Tea", "tags": ["home"]},
    "PUT /api/tasks/by-external-id/{external_id}": {"title": "Tea"},
    "POST /api/tasks/{task_id}/comments": {"content": "Soon."},
    "POST /api/schedules": {"action": "reminder", "params": {"message": "Tea"}, "every": 3600},
    "POST /api/schedules/{schedule_id}/run": {},
    "POST /api/schedules/{schedule_id}/backfill": {
        "from": "2020-01-01T00:00:00Z",
        "to": "2020-01-01T01:00:00Z",
    },
    "POST /api/webhooks": {"url": "https://1.1.1.1/", "events": ["*"]},
    "POST /api/auth/tokens": {"name": "a program", "scopes": ["read"]},
    "POST /api/calendar/feeds": {"name": "Work"},
}
# Chains may begin with something that is made below these.
BEGINNING = ["task_id", "schedule_id", "webhook_id", "delivery_id"]
BY_DOCUMENT = load(1, phases={"stateful": {"inference": {"algorithms": []}}}).as_state_machine()
# And what may be related by its name: a list and what it lists, an id in one answer and in another path.
BY_NAMES = load(1).as_state_machine()


class Gone:
    """The ids of what a chain has deleted and not restored."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def note(self, case: schemathesis.Case[Any]) -> None:
        """Remember a request that was done."""
        if case.method == "DELETE":
            self._ids.update(_ids_in(case)[-1:])
        elif case.path.endswith("/restore"):
            self._ids.difference_update(_ids_in(case))

    def beside_the_point(self, case: schemathesis.Case[Any]) -> list[Any]:
        """The check for what is gone, where all is there, or there again with what belongs to it."""
        return [] if self._ids.intersection(_ids_in(case)) else [use_after_free]


def _ids_in(case: schemathesis.Case[Any]) -> list[str]:
    return list((case.path_parameters or {}).values())


def chains(
    machine: Any, app: Flask, role: str, *, number: int, steps: int, always_the_same: bool = False
) -> Counter[str]:
    """Send so many chains; how often each operation was asked about something that a link named."""
    followed: Counter[str] = Counter()

    class Chains(machine):
        def setup(self) -> None:
            # What an earlier chain left would lead this one elsewhere when it is sent again.
            empty(app)
            self.sender, current.app = Sender(app, role), app
            self.sender.prepare(BEGINNING)
            self.gone = Gone()

        def step(self, made_up: StepInput) -> StepOutput:
            self.linked = {location for location, _name in made_up.applied_parameters}
            return cast(StepOutput, super().step(made_up))

        def before_call(self, case: schemathesis.Case[Any]) -> None:
            if case._override is not None and case._override.path_parameters:
                followed[case.operation.label] += 1
            else:
                self.sender.aim(case)
            is_meant_to_fit = case.meta is not None and case.meta.generation.mode.is_positive
            if is_meant_to_fit and case.operation.label in MAKING:
                case.body = MAKING[case.operation.label]

        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"headers": self.sender.headers(case.path)}

        def validate_response(self, response: Any, case: schemathesis.Case[Any], **sent: Any) -> None:
            headers = sent["headers"]
            # A link puts what fits in the place of a body that was made up not to fit.
            excluded = [negative_data_rejection] if ParameterLocation.BODY in self.linked else []
            case.validate_response(
                response,
                additional_checks=[self.sender.is_let_in],
                excluded_checks=[*excluded, *self.gone.beside_the_point(case)],
                headers=headers,
                transport_kwargs=sent,
                recorder=self.recorder,
            )
            if response.status_code < HTTPStatus.MULTIPLE_CHOICES:
                self.gone.note(case)

    Chains.run(
        settings=settings(
            max_examples=number,
            stateful_step_count=steps,
            deadline=None,
            derandomize=always_the_same,
            database=None,
            print_blob=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    return followed


@pytest.mark.parametrize(
    ("migrated_app", "role"), [("sqlite", "user"), ("postgresql", "admin")], indirect=["migrated_app"]
)
def test_what_was_made_is_there_until_it_is_deleted(app: Flask, role: str) -> None:
    # So that a change fails by what it changed.
    followed = chains(BY_DOCUMENT, app, role, number=5, steps=10, always_the_same=True)
    assert followed.total() > 8, followed


def test_whom_a_chain_signs_out_or_switches_off_it_goes_on_with(app: Flask) -> None:
    """By links it comes across its own senders, too."""
    sender, admin = Sender(app, "user"), make_person(app, "admin@example.org", role="admin")
    for end in (
        lambda person: person.post("/api/auth/logout-all"),
        lambda person: admin.patch(f"/api/admin/users/{person.id}", {"is_active": False}),
        lambda person: admin.delete(f"/api/admin/users/{person.id}"),
    ):
        assert end(sender.person).status_code in (200, 204)
        assert sender.person.get("/api/tasks").status_code == 401
        assert app.test_client().get("/api/tasks", headers=sender.headers("/api/tasks")).status_code == 200


@pytest.mark.soak
@pytest.mark.parametrize("role", ROLES)
def test_long_chains_of_what_follows_what_was_made(app: Flask, role: str) -> None:
    followed = chains(BY_DOCUMENT, app, role, number=40, steps=30)
    assert len(followed) > 20, followed


@pytest.mark.soak
@pytest.mark.parametrize("role", ROLES)
def test_long_chains_of_what_may_be_related(app: Flask, role: str) -> None:
    followed = chains(BY_NAMES, app, role, number=40, steps=30)
    assert len(followed) > 20, followed
