"""flask admin users set-password"""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.helpers import log_in
from tests.accounts.links import NEW_PASSWORD, mailed_tokens, reset, reset_token
from tests.people import PASSWORD, Person
from tests.smtp import MailServer

Run = Callable[..., Result]
SET = "admin users set-password olivia"


def test_it_is_asked_for_twice_and_signs_in(flask: Run, client: FlaskClient, owner: Person) -> None:
    result = flask(SET, typed=f"{NEW_PASSWORD}\n{NEW_PASSWORD}\n")
    assert (result.exit_code, NEW_PASSWORD in result.output) == (0, False)
    assert log_in(client, owner.email, NEW_PASSWORD).status_code == 200
    assert log_in(client, owner.email, PASSWORD).status_code == 401


def test_sessions_and_links_end_and_the_owner_is_told(
    flask: Run, app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    token = reset_token(app, mail_server, owner)
    assert flask(f"{SET} --password-stdin", piped=f"{NEW_PASSWORD}\n").exit_code == 0
    assert owner.get("/api/auth/me").status_code == 401
    assert reset(client, token).status_code == 400
    mailed_tokens(app, mail_server)
    assert mail_server.messages[-1]["Subject"] == "Your password was changed"


def test_without_somebody_to_ask_it_says_what_to_do(flask: Run, owner: Person) -> None:
    result = flask(SET)
    assert result.exit_code == 1
    assert result.stderr == "Error: Nobody is there to type a password: send it with --password-stdin.\n"
    assert owner.get("/api/auth/me").status_code == 200


@pytest.mark.one_database
def test_the_rules_hold_here_too(flask: Run, owner: Person) -> None:
    result = flask(f"{SET} --password-stdin", piped="short\n")
    assert (result.exit_code, result.stderr) == (1, "Error: password: Use 10 to 128 characters.\n")
