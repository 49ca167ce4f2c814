"""Commands as the shell calls them, and an authenticator app."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup

from taskapi.core import clock
from tests.accounts.authenticator import Authenticator, StandingClock, enable
from tests.notifications.conftest import mail_server, running_mail_server  # noqa: F401 - fixtures
from tests.people import Person


@pytest.fixture
def flask(app: Flask) -> Callable[..., Result]:
    """Runs ``flask …``; what is typed goes to standard input."""
    group = FlaskGroup(create_app=lambda: app)

    def run(line: str, *more: str, typed: str | None = None) -> Result:
        return app.test_cli_runner().invoke(group, [*line.split(), *more], input=typed)

    return run


@pytest.fixture
def time() -> Iterator[StandingClock]:
    standing = StandingClock()
    with clock.use(lambda: standing.now):
        yield standing


@pytest.fixture
def phone(owner: Person, time: StandingClock) -> Authenticator:
    """The owner's app, whose codes are asked for at sign-in."""
    return enable(owner, time)
