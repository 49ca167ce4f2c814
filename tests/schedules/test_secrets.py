"""Secrets among params: sealed at rest, shown to nobody, opened for the run."""

import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from marshmallow import ValidationError, fields

from taskapi.core.db import Base, session
from taskapi.core.errors import ValidationFailed
from taskapi.core.runtime import runtime_settings
from taskapi.core.schemas import Schema
from taskapi.schedules import secrets
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext
from tests.core.conftest import Log, log_to
from tests.people import Person
from tests.schedules.making import Time, make, runs_of
from tests.settings import settings_changed
from tests.work import tick

__all__ = ("log_to",)

SECRET = "open sesame, please"


class KeyholderParams(Schema):
    """A secret, another that may be anything, and what everybody may know."""

    key = fields.String(required=True)
    more = fields.Raw()
    name = fields.String()


seen: list[dict[str, Any]] = []
KEYHOLDER = Action(
    "keyholder",
    "Knows a secret",
    KeyholderParams,
    lambda _context, params: seen.append(params),
    secrets=("key", "more"),
)


@pytest.fixture(autouse=True)
def keyholder() -> Any:
    seen.clear()
    registry.register(KEYHOLDER)
    yield
    registry.unregister("keyholder")


def everything_stored(app: Flask) -> str:
    with app.app_context():
        rows = [row for table in Base.metadata.sorted_tables for row in session().execute(sa.select(table))]
    return json.dumps([list(map(str, row)) for row in rows])


def test_a_secret_reaches_the_action_and_nobody_else(app: Flask, owner: Person, time: Time) -> None:
    lines = io.StringIO()
    handler, root = logging.StreamHandler(lines), logging.getLogger()
    root.addHandler(handler)
    root.setLevel("DEBUG")
    params = {"key": SECRET, "more": {"deep": [SECRET]}, "name": "Ali"}
    key = {"Idempotency-Key": "once"}
    body = {"action": "keyholder", "params": params, "run_at": "2026-11-20T09:00:00Z"}
    created = owner.post("/api/schedules", body, headers=key)
    tick(app)
    root.removeHandler(handler)
    root.setLevel("WARNING")
    assert seen == [params]
    (run,) = runs_of(owner, created.json)
    hidden = {"key": "***", "more": "***", "name": "Ali"}
    schedule = owner.get(f"/api/schedules/{created.json['id']}").json
    assert created.json["params"] == schedule["params"] == schedule["last_run"]["params"] == hidden
    assert run["params"] == owner.get(f"/api/runs/{run['id']}").json["params"] == hidden
    lists = [owner.get(path).text for path in ("/api/schedules", "/api/runs", f"/api/runs/{run['id']}/log")]
    kept = everything_stored(app) + lines.getvalue() + "".join(lists) + created.text
    assert "schedule.created" in kept
    assert "run.ended" in kept
    assert "open sesame" not in kept


@pytest.mark.one_database
@pytest.mark.parametrize("error", [ValueError, ActionFailed], ids=["raised", "told"])
def test_an_error_that_quotes_a_secret_is_told_without_it(
    app: Flask, owner: Person, time: Time, log_to: Callable[..., Log], error: type[Exception]
) -> None:
    def fail(_context: RunContext, params: dict[str, Any]) -> None:
        raise error(f"{params['more'][0]} and {params['key']} open nothing")

    registry.register(Action("keyholder", "Fails", KeyholderParams, fail, secrets=("key", "more")))
    log = log_to()
    params = {"key": SECRET, "more": [f"{SECRET}!", "x"]}
    schedule = make(owner, action="keyholder", params=params, every=3600, retry={"max_attempts": 1})
    owner.post(f"/api/schedules/{schedule['id']}/run")
    tick(app)
    (run,) = runs_of(owner, schedule)
    assert run["error"]["message"].endswith("*** and *** open nothing")
    kept = everything_stored(app) + log.text
    assert "open sesame" not in kept
    if error is ValueError:
        assert "in fail" in log.line("run.raised")["exception"]


def test_three_stars_are_no_secret(app: Flask, owner: Person) -> None:
    body = {"action": "keyholder", "params": {"key": "***"}, "every": 3600}
    answer = owner.post("/api/schedules", body)
    assert answer.status_code == 422
    assert answer.json["errors"].keys() == {"params.key"}


def test_params_that_are_refused_are_refused_before_anything_is_sealed(app: Flask, owner: Person) -> None:
    answer = owner.post("/api/schedules", {"action": "keyholder", "params": {"key": 5}, "every": 3600})
    assert answer.json["errors"] == {"params.key": ["Not a valid string."]}


def test_a_run_with_other_params_may_keep_the_secret(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, action="keyholder", params={"key": SECRET}, every=3600)
    path = f"/api/schedules/{schedule['id']}/run"
    assert owner.post(path, {"params": {"key": "***", "name": "Baba"}}).status_code == 202
    tick(app)
    assert seen == [{"key": SECRET, "name": "Baba"}]


def test_three_stars_keep_the_secret_that_is_stored(context: Flask, owner: Person) -> None:
    sent_by: dict[str, Any] = {"actor": owner.actor}
    stored = secrets.params_to_store(KEYHOLDER, {"key": SECRET, "more": 1}, **sent_by)
    assert SECRET not in str(stored)
    changed = secrets.params_to_store(KEYHOLDER, {"key": "***", "name": "Ali"}, **sent_by, stored=stored)
    assert secrets.open_secrets(KEYHOLDER, changed) == {"key": SECRET, "name": "Ali"}
    assert changed["key"] == stored["key"], "sent back as it was shown, it has not changed"
    replaced = secrets.params_to_store(KEYHOLDER, {"key": "new"}, **sent_by, stored=stored)
    assert secrets.open_secrets(KEYHOLDER, replaced) == {"key": "new"}
    with pytest.raises(ValidationFailed):
        secrets.params_to_store(
            KEYHOLDER, {"key": "x", "more": "***"}, **sent_by, stored={"key": stored["key"]}
        )


def test_a_secret_stays_hidden_when_its_action_is_gone(app: Flask, owner: Person) -> None:
    schedule = make(owner, action="keyholder", params={"key": SECRET}, every=3600)
    registry.unregister("keyholder")
    assert owner.get(f"/api/schedules/{schedule['id']}").json["params"] == {"key": "***"}


def test_what_was_stored_before_it_became_a_secret_still_works(context: Flask) -> None:
    assert secrets.open_secrets(KEYHOLDER, {"key": SECRET}) == {"key": SECRET}


def test_a_former_key_still_opens_until_it_is_dropped(app: Flask, owner: Person, time: Time) -> None:
    schedule = make(owner, action="keyholder", params={"key": SECRET}, every=3600)
    with app.app_context():
        former = runtime_settings().secret_key
    new: dict[str, Any] = {"secret_key": "another secret that is long enough"}
    path = f"/api/schedules/{schedule['id']}/run"
    owner.post(path)
    with settings_changed(app, **new, secret_key_fallbacks=(former,)):
        tick(app)
    assert seen == [{"key": SECRET}]
    owner.post(path)
    with settings_changed(app, **new):
        tick(app)
    run = owner.get("/api/runs").json["items"][0]
    assert (run["status"], run["error"]["code"]) == ("failed", "secret_unreadable")


def test_a_secret_that_cannot_be_read_any_more_cannot_be_kept(context: Flask, owner: Person) -> None:
    sent_by: dict[str, Any] = {"actor": owner.actor}
    stored = secrets.params_to_store(KEYHOLDER, {"key": SECRET}, **sent_by)
    with settings_changed(context, secret_key="another secret that is long enough"):
        with pytest.raises(ValidationFailed, match="send it again"):
            secrets.params_to_store(KEYHOLDER, {"key": "***"}, **sent_by, stored=stored)
        with pytest.raises(ActionFailed) as caught:
            secrets.open_secrets(KEYHOLDER, stored)
    assert caught.value.permanent


def test_the_check_of_an_action_refuses_what_its_schema_cannot(app: Flask, owner: Person) -> None:
    def check(params: dict[str, Any]) -> None:
        raise ValidationError(f"{params['key']} fits no lock", "key")

    def never(_context: RunContext, _params: dict[str, Any]) -> None:
        raise AssertionError

    registry.register(Action("keyholder", "Picky", KeyholderParams, never, check=check))
    answer = owner.post("/api/schedules", {"action": "keyholder", "params": {"key": "this"}, "every": 3600})
    assert answer.json["errors"] == {"params.key": ["this fits no lock"]}


def test_the_log_of_changes_keeps_what_changed_and_no_private_params(context: Flask, owner: Person) -> None:
    call = {
        "url": "https://user:pass@hooks.example.org:8443/T0/key?sig=1",
        "method": "PUT",
        "headers": {"X-Door": "key"},
    }
    told = secrets.recorded_params("webhook", {**call, "body": None, "timeout": 5})
    expected = {"url": "https://hooks.example.org:8443/***", "method": "PUT", "headers": "***", "body": None}
    assert told == {**expected, "timeout": 5}
    message = {"message": "See https://example.org/a?b=c, please", "to": ["ada@example.org"]}
    assert secrets.recorded_params("reminder", message) == {
        "message": "See https://example.org/*** please",
        "to": ["ada@example.org"],
    }
    # Nobody knows which of them were private.
    assert secrets.recorded_params("retired", {"door": "key", "none": None}) == {"door": "***", "none": None}
