"""An application with endpoints that do what real ones must not, to see what the floor makes of it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask, abort, request
from marshmallow import fields
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from taskapi.core.access import Actor, set_authenticator
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import session
from taskapi.core.errors import Unauthorized
from taskapi.core.schemas import Schema

THING_ID = UUID(int=7)
NOBODY = UUID(int=1)
ACTORS = {
    "all": Actor(user_id=NOBODY, role="user", username="all"),
    "reader": Actor(user_id=NOBODY, role="user", username="reader", scopes=frozenset({"read"})),
    "none": Actor(user_id=NOBODY, role="user", username="none", scopes=frozenset()),
    "admin": Actor(user_id=NOBODY, role="admin", username="admin"),
    "other": Actor(user_id=UUID(int=2), role="user", username="other"),
    "admin-reader": Actor(user_id=NOBODY, role="admin", username="limited", scopes=frozenset({"read"})),
}


@dataclass(frozen=True)
class Thing:
    """A resource with a version."""

    id: UUID = THING_ID
    version: int = 3


@dataclass(frozen=True)
class TaggedThing(Thing):
    """A resource that says its tag itself."""

    entity_tag: str = "own"


class ThingSchema(Schema):
    id = fields.UUID()
    version = fields.Integer()


class ThingQuery(Schema):
    colour = fields.String()
    tag = fields.List(fields.String())


def install_probes(app: Flask) -> None:
    """Add the endpoints and a few callers whose token is their name."""
    blp = Blueprint("probe", __name__, url_prefix="/probe")
    _add_failures(blp)
    _add_things(blp)
    for scope in ("read", "write", "admin", None):
        blp.add_url_rule(f"/{scope}", f"scope_{scope}", blp.requires(scope)(lambda: {"done": True}))
    blp.add_url_rule("/undeclared", "undeclared", lambda: {"done": True})
    app.register_blueprint(blp)
    with app.app_context():
        set_authenticator(_authenticate)


def _authenticate(token: str) -> Actor:
    if token not in ACTORS:
        raise Unauthorized
    return ACTORS[token]


def _add_failures(blp: Blueprint) -> None:
    @blp.route("/bug", methods=["GET", "POST"])
    @blp.public
    def bug() -> None:
        hidden = "".join(["a secret ", "in a variable"])
        raise ZeroDivisionError("hunter2 divided by zero" + hidden[:0])

    @blp.route("/constraint", methods=["GET"])
    @blp.public
    def constraint() -> None:
        for _ in range(2):
            session().execute(sa.text("INSERT INTO probe (key) VALUES (1)"))

    @blp.route("/teapot", methods=["GET"])
    @blp.public
    def teapot() -> None:
        abort(418)

    @blp.route("/crowded", methods=["GET"])
    @blp.public
    def crowded() -> None:
        raise PoolTimeout("QueuePool limit of size 5 reached")

    @blp.route("/lost-race", methods=["GET"])
    @blp.public
    def lost_race() -> None:
        raise StaleDataError("UPDATE statement on table 'users' expected to update 1 row(s); 0 were matched.")

    @blp.route("/slow", methods=["GET"])
    @blp.public
    def slow() -> None:
        session().execute(sa.text("SET LOCAL statement_timeout = 50"))
        session().execute(sa.text("SELECT pg_sleep(20)"))

    @blp.route("/statement", methods=["GET"])
    @blp.requires("read")
    def statement() -> dict[str, Any]:
        return {"one": session().scalar(sa.text("SELECT 1"))}


def _add_things(blp: Blueprint) -> None:
    @blp.route("/things", methods=["POST"])
    @blp.public
    @blp.arguments(ThingSchema)
    @blp.response(201, ThingSchema)
    def create_thing(_data: dict[str, Any]) -> Thing:
        return Thing()

    @blp.route("/things", methods=["GET"])
    @blp.public
    @blp.arguments(ThingQuery, location="query")
    @blp.response(200)
    def list_things(query: dict[str, Any]) -> dict[str, Any]:
        return query

    @blp.route("/things/<int:_number>", methods=["GET"])
    @blp.public
    @blp.response(200, ThingSchema)
    def get_thing(_number: int) -> Thing:
        return Thing()

    @blp.route("/things/<int:_number>", methods=["DELETE"])
    @blp.public
    @blp.response(204)
    def delete_thing(_number: int) -> None:
        return None

    @blp.route("/client", methods=["GET"])
    @blp.public
    @blp.response(200)
    def show_client() -> dict[str, Any]:
        return {"client": request.remote_addr, "scheme": request.scheme, "host": request.host}

    @blp.route("/tagged", methods=["GET"])
    @blp.public
    @blp.response(200, ThingSchema)
    def get_tagged() -> Thing:
        return TaggedThing()
