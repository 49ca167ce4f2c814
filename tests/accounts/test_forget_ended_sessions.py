"""Housekeeping: sessions that ended long ago are removed with their tokens."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import RefreshToken, SignInSession
from taskapi.core import clock
from taskapi.core.db import session
from taskapi.ops.jobs import forget_old_rows
from tests.accounts.helpers import code, exchange
from tests.people import Person
from tests.settings import settings_changed


def rows_left(app: Flask, *, after_days: float) -> tuple[int, int]:
    """Sessions and refresh tokens that the housekeeping of a later day leaves."""
    moment = clock.now() + timedelta(days=after_days)
    with clock.use(lambda: moment), app.app_context():
        forget_old_rows()
        return tuple(  # type: ignore[return-value]
            session().scalar(sa.select(sa.func.count()).select_from(model)) or 0
            for model in (SignInSession, RefreshToken)
        )


@pytest.mark.parametrize(("days", "left"), [(29, (1, 1)), (31, (0, 0))])
def test_an_ended_session_is_kept_for_thirty_days(
    app: Flask, owner: Person, days: float, left: tuple[int, int]
) -> None:
    owner.post("/api/auth/logout")
    assert rows_left(app, after_days=days) == left


@pytest.mark.parametrize(("days", "left"), [(59, (1, 1)), (61, (0, 0))])
def test_an_expired_session_is_kept_for_thirty_days_too(
    app: Flask, owner: Person, days: float, left: tuple[int, int]
) -> None:
    assert rows_left(app, after_days=days) == left


@pytest.mark.parametrize(("days", "left"), [(29, (1, 2)), (31, (1, 1))])
def test_a_spent_token_of_a_living_session_is_kept_for_thirty_days(
    app: Flask, client: FlaskClient, owner: Person, days: float, left: tuple[int, int]
) -> None:
    exchange(client, owner.refresh_token)
    assert rows_left(app, after_days=days) == left


@pytest.mark.parametrize(("days", "left"), [(89, (1, 2)), (91, (1, 1))])
def test_a_spent_token_is_kept_as_long_as_sessions_last(
    app: Flask, client: FlaskClient, owner: Person, days: float, left: tuple[int, int]
) -> None:
    with settings_changed(app, refresh_token_days=90):
        exchange(client, owner.refresh_token)
        assert rows_left(app, after_days=days) == left


def test_the_sessions_of_others_are_left_alone(app: Flask, owner: Person, teammate: Person) -> None:
    owner.post("/api/auth/logout")
    rows_left(app, after_days=31)
    assert teammate.get("/api/auth/me").status_code == 200


def test_a_forgotten_token_is_unknown(app: Flask, client: FlaskClient, owner: Person) -> None:
    rows_left(app, after_days=61)
    assert code(exchange(client, owner.refresh_token)) == (401, "invalid_token")


def test_it_may_run_twice(app: Flask, owner: Person) -> None:
    owner.post("/api/auth/logout")
    assert [rows_left(app, after_days=31) for _ in range(2)] == [(0, 0)] * 2
