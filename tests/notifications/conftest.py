"""A mail server that the application delivers to, and looks into the outbox."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from taskapi.clients.mail import init_mail
from taskapi.config import MailSettings, Settings
from tests.schedules.making import Time, at
from tests.smtp import MailServer


@pytest.fixture(scope="session")
def running_mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mail_server(app: Flask, running_mail_server: MailServer) -> Iterator[MailServer]:
    """The application's mail goes to this server."""
    running_mail_server.clear()
    settings: Settings = app.extensions["taskapi_settings"]
    mail = MailSettings(
        server="127.0.0.1", port=running_mail_server.port, default_sender="taskapi <tasks@example.org>"
    )
    init_mail(app, replace(settings, mail=mail))
    yield running_mail_server
    init_mail(app, settings)


@pytest.fixture
def time() -> Iterator[Time]:
    """It is Friday, 20 November 2026, 09:00 UTC, until the test lets time pass."""
    with Time(at("2026-11-20 09:00")).running() as virtual:
        yield virtual
