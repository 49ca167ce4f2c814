"""Commands as the shell calls them, and an authenticator app."""

from collections.abc import Iterator

import pytest

from taskapi.core import clock
from tests.accounts.authenticator import Authenticator, StandingClock, enable
from tests.notifications.conftest import mail_server, running_mail_server  # noqa: F401 - fixtures
from tests.people import Person


@pytest.fixture
def time() -> Iterator[StandingClock]:
    standing = StandingClock()
    with clock.use(lambda: standing.now):
        yield standing


@pytest.fixture
def phone(owner: Person, time: StandingClock) -> Authenticator:
    """The owner's app, whose codes are asked for at sign-in."""
    return enable(owner, time)
