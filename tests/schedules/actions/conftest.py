"""A receiver of webhooks on this machine, which the operator allows to be called."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer

from tests.settings import settings_changed


@pytest.fixture(scope="session")
def running() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as server:
        yield server


@pytest.fixture
def receiver(running: HTTPServer, app: Flask) -> Iterator[HTTPServer]:
    running.clear()
    with settings_changed(app, webhook_allow_private=(ip_network("127.0.0.1/32"),)):
        yield running
