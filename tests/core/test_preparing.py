"""What is fetched before a view, from a body that nobody has checked yet."""

from typing import Any

import pytest
from flask import Flask

from taskapi.core.db import db, session
from taskapi.core.preparing import prepares, preparing

pytestmark = pytest.mark.one_database


def call(app: Flask, body: bytes) -> list[Any]:
    """What ``prepare`` was called with, and what the view was given."""
    seen: list[Any] = []

    def prepare(content: dict[str, Any]) -> str:
        seen.append(content)
        return "fetched"

    def view(thing_id: int, **given: Any) -> None:
        seen.append((thing_id, given))

    with app.test_request_context(method="POST", data=body, content_type="application/json"):
        preparing(prepares(prepare)(view))(7)
    return seen


def test_the_view_is_given_what_was_fetched_for_its_body(app: Flask) -> None:
    assert call(app, b'{"city": "Paris"}') == [{"city": "Paris"}, (7, {"prepared": "fetched"})]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"Paris"', b"null", b"\xff", b'{"a": 1, "a": 2}'])
def test_of_a_body_that_is_no_object_nothing_is_told(body: bytes, app: Flask) -> None:
    assert call(app, body) == [{}, (7, {"prepared": "fetched"})]


def test_no_connection_is_held_meanwhile(context: Flask) -> None:
    pool: Any = db.engine.pool
    session().connection()
    assert pool.checkedout() == 1
    held: list[int] = []

    def view(**_given: Any) -> None:
        """It needs nothing but what is prepared."""

    with context.test_request_context(method="POST"):
        preparing(prepares(lambda _body: held.append(pool.checkedout()))(view))()
    assert held == [0]


def test_a_view_that_asks_for_nothing_is_called_as_it_is() -> None:
    def view() -> None:
        """Nothing is prepared for it."""

    assert preparing(view) is view
