"""A receiver of webhooks on this machine, which the operator allows to be called, and a clock to move."""

import pytest
from pytest_httpserver import HTTPServer

from tests.events.webhooks.making import Inbox
from tests.notifications.conftest import mail_server, running_mail_server
from tests.schedules.actions.conftest import receiver, running
from tests.schedules.conftest import time

__all__ = ("mail_server", "receiver", "running", "running_mail_server", "time")


@pytest.fixture
def inbox(receiver: HTTPServer) -> Inbox:
    """Answers 200 to everything unless a test says otherwise."""
    return Inbox(receiver, "/hook")
