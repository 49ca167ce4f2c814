"""flask admin users activate and deactivate"""

import json
from collections.abc import Callable

from click.testing import Result
from flask.testing import FlaskClient

from tests.accounts.helpers import log_in
from tests.people import Person
from tests.schedules.making import make

Run = Callable[..., Result]


def test_who_is_switched_off_is_out_until_they_are_switched_on(
    flask: Run, client: FlaskClient, owner: Person, admin: Person
) -> None:
    schedule = make(owner, every=60)
    for command, is_active, signed_in, status in (
        ("deactivate", False, 401, "paused"),
        ("activate", True, 200, "active"),
    ):
        (shown,) = json.loads(flask(f"admin users {command} olivia --json").stdout)
        assert shown["is_active"] is is_active
        assert log_in(client, owner.email).status_code == signed_in
        assert admin.get(f"/api/schedules/{schedule['id']}").json["status"] == status


def test_it_may_be_said_twice(flask: Run, owner: Person) -> None:
    commands = ("deactivate", "deactivate", "activate", "activate")
    assert [flask(f"admin users {command} olivia").exit_code for command in commands] == [0, 0, 0, 0]


def test_the_shell_does_not_switch_off_the_last_admin(flask: Run, admin: Person) -> None:
    result = flask("admin users deactivate ada")
    assert (result.exit_code, result.stderr) == (1, "Error: Make somebody else an administrator first.\n")


def test_those_who_are_switched_off_can_be_listed(flask: Run, owner: Person, admin: Person) -> None:
    flask("admin users deactivate olivia")
    found = json.loads(flask("admin users list --inactive --json").stdout)
    assert [user["username"] for user in found] == ["olivia"]
