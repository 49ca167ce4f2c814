"""flask admin users promote"""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.accounts.helpers import body
from tests.people import Person

Run = Callable[..., Result]


@pytest.mark.parametrize("login", ["olivia@example.org", "OLIVIA"])
def test_it_makes_an_administrator_at_once(flask: Run, owner: Person, login: str) -> None:
    (shown,) = json.loads(flask(f"admin users promote {login} --json").stdout)
    assert (shown["id"], shown["role"]) == (str(owner.id), "admin")
    assert body(owner.get("/api/auth/me"))["role"] == "admin"


def test_it_may_be_said_twice(flask: Run, owner: Person) -> None:
    codes = [flask("admin users promote olivia").exit_code for _ in range(2)]
    assert codes == [0, 0]


def test_an_unknown_name_is_one_line_and_exit_code_1(flask: Run) -> None:
    result = flask("admin users promote nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no user 'nobody'.\n"
