"""docs/admin.md names paths and commands that there are, and all of the room's."""

import re
from pathlib import Path

import click
import pytest
from flask.testing import FlaskClient

from taskapi.cli import admin
from tests.rules.access_table import ADMIN

PAGE = Path(__file__).parents[2] / "docs" / "admin.md"
TEXT = PAGE.read_text()
# Told of on pages of their own.
ELSEWHERE = re.compile(r"/(audit|queues)")


def commands_named() -> set[str]:
    """Each command of a group, such as ``users list``; those of a row share its group."""
    named = set()
    for group, first, rest in re.findall(
        r"`flask admin (\w+) ([a-z][a-z-]*)[^`]*`(?:, and ((?:`[a-z]+`(?:, )?)+))?", TEXT
    ):
        named |= {f"{group} {command}" for command in (first, *re.findall(r"`([a-z]+)`", rest))}
    return named


@pytest.mark.one_database
def test_it_names_every_command_of_its_groups_and_no_other() -> None:
    context = click.Context(admin)
    groups = {name: admin.get_command(context, name) for name in ("users", "tasks", "schedules", "runs")}
    known = {
        f"{name} {command}"
        for name, group in groups.items()
        if isinstance(group, click.Group)
        for command in group.commands
    }
    assert commands_named() == known
    assert "`flask admin stats`" in TEXT


@pytest.mark.one_database
def test_it_names_every_path_of_the_room() -> None:
    missing = []
    for route in ADMIN:
        method, path = route.split(" ")
        short = re.sub(r"<uuid:\w+>", "{id}", path).removeprefix("/api/admin")
        if not ELSEWHERE.match(short) and method != "PUT" and f"`{method} {short}" not in TEXT:
            missing.append(route)
    assert missing == []


@pytest.mark.one_database
def test_the_outcomes_are_those_of_the_document(client: FlaskClient) -> None:
    fate = client.get("/openapi.json").json["components"]["schemas"]["Fate"]  # type: ignore[index]
    assert all(f"`{outcome}`" in TEXT for outcome in fate["properties"]["outcome"]["enum"])
