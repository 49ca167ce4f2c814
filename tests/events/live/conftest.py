"""Live connections of one process, without a web server."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.core.conftest import log_to
from tests.events.conftest import stranger, time
from tests.events.live.listening import Listening

__all__ = ("log_to", "stranger", "time")


@pytest.fixture
def listening(app: Flask) -> Iterator[Listening]:
    """Opens connections; the loop that serves them ends with the test."""
    found = Listening(app)
    yield found
    found.stop()
