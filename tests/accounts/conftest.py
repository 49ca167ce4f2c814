"""Commands as the shell calls them."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup


@pytest.fixture
def flask(app: Flask) -> Callable[..., Result]:
    """Runs ``flask …``; what is typed goes to standard input."""
    group = FlaskGroup(create_app=lambda: app)

    def run(line: str, *more: str, typed: str | None = None) -> Result:
        return app.test_cli_runner().invoke(group, [*line.split(), *more], input=typed)

    return run
