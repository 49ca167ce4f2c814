"""flask admin users demote"""

import json
from collections.abc import Callable

from click.testing import Result
from flask import Flask

from tests.people import Person, make_person

Run = Callable[..., Result]


def test_an_admin_becomes_a_user(flask: Run, app: Flask, admin: Person) -> None:
    make_person(app, "second@example.org", role="admin")
    (shown,) = json.loads(flask("admin users demote ada --json").stdout)
    assert (shown["id"], shown["role"]) == (str(admin.id), "user")
    assert admin.get("/api/auth/me").status_code == 401


def test_the_shell_does_not_demote_the_last_admin(flask: Run, admin: Person) -> None:
    result = flask("admin users demote ada")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Make somebody else an administrator first.\n"
    assert admin.get("/api/admin/users").status_code == 200
