"""flask admin users reset-second-factor"""

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import RecoveryCode, SecondFactor
from taskapi.core.db import session
from taskapi.core.events import Event
from tests.accounts.authenticator import Authenticator, sign_in
from tests.accounts.helpers import code
from tests.people import Person

Run = Callable[..., Result]
RESET = "admin users reset-second-factor"


@pytest.mark.parametrize("login", ["olivia@example.org", "OLIVIA"])
def test_the_password_alone_signs_in_again(
    flask: Run, client: FlaskClient, phone: Authenticator, login: str
) -> None:
    assert code(sign_in(client, phone.person)) == (401, "second_factor_required")
    (shown,) = json.loads(flask(f"{RESET} {login} --json").stdout)
    assert shown["id"] == str(phone.person.id)
    assert sign_in(client, phone.person).status_code == 200


def test_nothing_is_left_of_it_and_it_is_recorded(flask: Run, app: Flask, phone: Authenticator) -> None:
    flask(f"{RESET} olivia")
    with app.app_context():
        left = [
            session().scalar(sa.select(sa.func.count(table.user_id)))
            for table in (SecondFactor, RecoveryCode)
        ]
        event = session().scalars(sa.select(Event).where(Event.type == "user.second_factor_disabled")).one()
    assert left == [0, 0]
    assert (event.owner_id, event.actor_id) == (phone.person.id, None)


@pytest.mark.parametrize(
    ("login", "line"),
    [("nobody", "There is no user 'nobody'."), ("olivia", "This account has no second factor.")],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    flask: Run, owner: Person, login: str, line: str
) -> None:
    result = flask(f"{RESET} {login}")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {line}\n")
