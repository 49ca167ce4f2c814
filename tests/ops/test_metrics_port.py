"""METRICS_PORT: what workers and schedulers of a machine without a web process have counted"""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from flask import Flask
from werkzeug.test import Client

from taskapi.core.meters import tallies_of
from taskapi.core.tallies import Tallies
from taskapi.ops import metrics_port
from tests.e2e.conftest import free_port
from tests.ops.conftest import wait_until

pytestmark = pytest.mark.one_database


@pytest.fixture
def machine(app: Flask) -> Iterator[Flask]:
    """One whose processes have the token "a token" to show."""
    settings, tallies = app.extensions["taskapi_settings"], tallies_of(app)
    app.extensions["taskapi_settings"] = replace(settings, metrics_token="a token")
    app.extensions["taskapi_tallies"] = Tallies(tallies.directory, "web")
    yield app
    tallies_of(app).close()
    app.extensions["taskapi_settings"], app.extensions["taskapi_tallies"] = settings, tallies


def test_only_who_shows_the_token_is_told(machine: Flask) -> None:
    client = Client(metrics_port._answering(machine))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTp0b2tlbg=="}):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "taskapi_" not in answer.text
    shown = {"Authorization": "Bearer a token"}
    assert "taskapi_mails_total" in client.get("/metrics", headers=shown).text
    assert client.get("/api/tasks", headers=shown).status_code == 404
    assert client.post("/metrics", headers=shown).status_code == 404


def test_what_the_web_tells_of_the_whole_installation_is_not_told_twice(machine: Flask) -> None:
    client = Client(metrics_port._answering(machine))
    text = client.get("/metrics", headers={"Authorization": "Bearer a token"}).text
    assert "taskapi_runs_open" not in text


def test_a_process_waits_until_the_port_is_free_and_names_its_kind(
    machine: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_port, "PAUSE_SECONDS", 0.02)
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with socket.create_server(("127.0.0.1", port)):
        settings = replace(machine.extensions["taskapi_settings"], metrics_port=port)
        metrics_port.begin_counting(machine, settings, "scheduler")
    wait_until(lambda: _answers(url))
    text = requests.get(url, headers={"Authorization": "Bearer a token"}, timeout=5).text
    assert 'taskapi_process_start_time_seconds{kind="scheduler"' in text


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 401
    except requests.ConnectionError:
        return False
