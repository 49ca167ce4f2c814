"""A virtual clock, the SQL that is sent, and a feed of the owner's."""

from typing import Any

import pytest

from tests.calendar.making import make_feed
from tests.core.conftest import log_to
from tests.people import Person
from tests.schedules.conftest import time
from tests.schedules.making import Time
from tests.tasks.conftest import statements

__all__ = ("log_to", "statements", "time")


@pytest.fixture
def feed(time: Time, owner: Person) -> dict[str, Any]:
    return make_feed(owner)
