"""Looks up the commands that documents name."""

import click

from tests.document import DOCUMENT_APP


def find_command(names: list[str]) -> click.Command | None:
    """The command ``flask`` and ``names``; what follows a command that is no group are its arguments."""
    found: click.Command | None = DOCUMENT_APP.cli
    for name in names:
        if not isinstance(found, click.Group):
            return found
        found = found.get_command(click.Context(found), name)
    return found
