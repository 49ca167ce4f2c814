"""How far a webhook sees: no further than who made it, and its log is for nobody who sees less."""

from typing import Any

import pytest
from flask import Flask

from taskapi.core.db import transaction
from tests.accounts.helpers import code
from tests.events.webhooks.making import Inbox, get, log_of, path_of, send, subscribe
from tests.people import Person, program_of, set_role
from tests.tasks.making import make_task

ELSEWHERE = {"url": "https://1.1.1.1/elsewhere"}
MISSING_SCOPE = (403, "missing_scope")


@pytest.fixture
def everything(app: Flask, owner: Person, admin: Person, inbox: Inbox) -> dict[str, Any]:
    """A webhook that an administrator made when signed in; it was told of what another did."""
    webhook = subscribe(admin, inbox.url, "*")
    make_task(owner)
    send(app)
    assert inbox.types == ["task.created"]
    return webhook


def test_a_program_of_an_administrator_without_the_scope_subscribes_as_anybody(
    app: Flask, owner: Person, admin: Person, inbox: Inbox
) -> None:
    subscribe(program_of(admin, "read", "write"), inbox.url, "*")
    make_task(owner, title="another's")
    make_task(admin, title="own")
    send(app)
    assert inbox.titles == ["own"]


def test_with_the_scope_it_subscribes_as_an_administrator(
    app: Flask, owner: Person, admin: Person, inbox: Inbox
) -> None:
    subscribe(program_of(admin, "read", "write", "admin"), inbox.url, "*")
    make_task(owner)
    send(app)
    assert inbox.types == ["task.created"]


def test_without_the_scope_it_leads_nobody_elsewhere_what_an_administrator_is_told(
    admin: Person, everything: dict[str, Any]
) -> None:
    program, (delivery,) = program_of(admin, "read", "write"), log_of(admin, everything)
    at_once = path_of(everything, "deliveries", delivery["id"], "redeliver")
    past = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    for answer in (
        program.patch(path_of(everything), ELSEWHERE),
        program.post(path_of(everything, "rotate-secret")),
        program.post(path_of(everything, "redeliver"), past),
        program.post(at_once),
        program.get(path_of(everything, "deliveries")),
        program.get(path_of(everything, "deliveries", delivery["id"])),
    ):
        assert code(answer) == MISSING_SCOPE
    assert get(admin, everything)["version"] == 1
    assert admin.get(path_of(everything, "deliveries", delivery["id"])).status_code == 200


@pytest.mark.one_database
def test_without_the_scope_it_may_end_what_an_administrator_is_told(
    admin: Person, everything: dict[str, Any]
) -> None:
    assert program_of(admin, "write").delete(path_of(everything)).status_code == 204


def test_who_is_no_administrator_any_more_may_delete_it_and_nothing_else(
    app: Flask, owner: Person, admin: Person, everything: dict[str, Any], inbox: Inbox
) -> None:
    with app.app_context(), transaction():
        set_role(admin.email, "user")
    make_task(owner)
    send(app)
    assert inbox.types == ["task.created"]
    assert code(program_of(admin, "read").get(path_of(everything, "deliveries"))) == MISSING_SCOPE
    assert code(admin.patch(path_of(everything), ELSEWHERE)) == MISSING_SCOPE
    assert admin.delete(path_of(everything)).status_code == 204


def test_who_becomes_an_administrator_is_not_told_of_everything_where_a_program_once_subscribed(
    app: Flask, owner: Person, teammate: Person, inbox: Inbox
) -> None:
    subscribe(program_of(teammate, "read", "write"), inbox.url, "*")
    with app.app_context(), transaction():
        set_role(teammate.email, "admin")
    make_task(owner)
    send(app)
    assert inbox.types == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/webhooks", {"url": "https://1.1.1.1/", "events": ["*"]}),
        ("/api/calendar/feeds", {"name": "Work"}),
    ],
)
def test_who_may_not_read_has_nobody_told_either(owner: Person, path: str, body: dict[str, Any]) -> None:
    assert code(program_of(owner, "write").post(path, body)) == MISSING_SCOPE
    assert program_of(owner, "read", "write").post(path, body).status_code == 201


@pytest.mark.one_database
def test_an_answer_to_an_administrator_is_not_repeated_to_a_program_that_sees_less(
    admin: Person, everything: dict[str, Any]
) -> None:
    (delivery,) = log_of(admin, everything)
    path = path_of(everything, "deliveries", delivery["id"], "redeliver")
    key = {"headers": {"Idempotency-Key": "k"}}
    assert admin.post(path, **key).status_code == 202
    assert code(program_of(admin, "read", "write").post(path, **key)) == MISSING_SCOPE
    assert program_of(admin, "write", "read", "admin").post(path, **key).headers["Idempotent-Replayed"]
