"""What the shell offers while somebody types a command"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from flask import Flask
from flask.cli import FlaskGroup

from tests.people import Person

GROUPS = {"audit", "files", "queues", "runs", "schedules", "stats", "tasks", "users"}


def offered(app: Flask, *words: str, begun: str = "") -> set[str]:
    """What follows some words, of which the last is begun."""
    shell = ShellComplete(FlaskGroup(create_app=lambda: app), {}, "flask", "_FLASK_COMPLETE")
    return {item.value for item in shell.get_completions(list(words), begun)}


@pytest.mark.one_database
def test_groups_and_their_commands_are_offered(app: Flask) -> None:
    assert offered(app, "admin") >= GROUPS
    assert offered(app, "admin", begun="us") == {"users"}
    assert offered(app, "admin", "users") == {
        *("list", "show", "create", "delete", "promote", "demote", "activate", "deactivate"),
        *("set-password", "reset-second-factor"),
    }
    assert offered(app, "admin", "runs") == {"list", "show", "retry", "cancel"}


def test_usernames_are_offered(app: Flask, owner: Person, admin: Person) -> None:
    assert offered(app, "admin", "users", "show") == {"ada", "olivia"}
    assert offered(app, "admin", "users", "show", begun="OL") == {"olivia"}
    assert offered(app, "admin", "users", "delete", "ada", "--reassign-to", begun="o") == {"olivia"}
    assert offered(app, "admin", "schedules", "list", "--owner", begun="_") == set()


@pytest.mark.one_database
def test_without_a_database_no_names_are_offered_and_nothing_fails(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
        "_TASKAPI_COMPLETE": "bash_complete",
        "COMP_WORDS": "taskapi admin users show o",
        "COMP_CWORD": "4",
    }
    command = [str(Path(sys.executable).parent / "taskapi")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
