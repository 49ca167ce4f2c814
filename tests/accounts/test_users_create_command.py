"""flask admin users create"""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from flask.testing import FlaskClient

from tests.accounts.helpers import body, log_in
from tests.people import PASSWORD, Person

Run = Callable[..., Result]
CREATE = "admin users create"


def test_it_makes_an_account_that_can_sign_in(flask: Run, client: FlaskClient) -> None:
    result = flask(f"{CREATE} nora@example.org --admin --full-name", "Nora N", "--password", PASSWORD)
    assert (result.exit_code, result.stderr) == (0, "")
    user = body(log_in(client, "nora"))["user"]
    assert (user["role"], user["full_name"]) == ("admin", "Nora N")


def test_without_further_words_it_makes_a_user(flask: Run) -> None:
    (user,) = json.loads(flask(f"{CREATE} nora@example.org --json --password", PASSWORD).stdout)
    assert (user["email"], user["username"], user["role"]) == ("nora@example.org", "nora", "user")
    assert user.keys() == {"id", "email", "username", "role", "is_active", "created_at"}


def test_it_asks_for_the_password_twice_without_showing_it(flask: Run, client: FlaskClient) -> None:
    result = flask(f"{CREATE} nora@example.org", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    assert log_in(client, "nora@example.org").status_code == 200


def test_it_asks_again_when_the_two_differ(flask: Run, client: FlaskClient) -> None:
    typed = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    result = flask(f"{CREATE} nora@example.org", typed=typed)
    assert "do not match" in result.output
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("olivia@example.org", "Error: An account with this e-mail address exists."),
        ("new@example.org --username olivia", "Error: This username is taken."),
        ("nonsense", "Error: email: Not a valid e-mail address."),
        (f"new@example.org --full-name {'x' * 201}", "Error: full_name: Use 200 characters at most."),
        ("new@example.org --full-name a\x07b", "Error: full_name: Control characters are not allowed here."),
        ("new@example.org --username a/b", "Error: username: Use 1 to 50 letters, digits,"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    flask: Run, owner: Person, arguments: str, line: str
) -> None:
    result = flask(f"{CREATE} {arguments} --password", PASSWORD)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_a_weak_password_is_refused_here_too(flask: Run) -> None:
    result = flask(f"{CREATE} new@example.org --password short")
    assert (result.exit_code, result.stderr) == (1, "Error: password: Use 10 to 128 characters.\n")


def test_the_password_may_be_piped(flask: Run, client: FlaskClient) -> None:
    assert flask(f"{CREATE} nora@example.org --password-stdin", piped=f"{PASSWORD}\n").exit_code == 0
    assert log_in(client, "nora@example.org").status_code == 200


def test_who_is_invited_has_no_password_yet(flask: Run, client: FlaskClient) -> None:
    assert flask(f"{CREATE} nora@example.org --invite").exit_code == 0
    assert log_in(client, "nora@example.org", "").status_code == 401


def test_without_somebody_to_ask_it_says_what_to_do(flask: Run) -> None:
    result = flask(f"{CREATE} nora@example.org")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--password-stdin" in result.stderr
