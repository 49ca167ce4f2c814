"""``flask healthcheck``: what an orchestrator asks of one process."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from redis import Redis

from taskapi.background.process import process_name
from taskapi.background.registered import registered_workers
from taskapi.background.worker import TaskWorker
from taskapi.config import Settings, load_settings
from taskapi.core.db import transaction
from taskapi.ops import healthcheck, service
from taskapi.ops.healthcheck import what_is_wrong
from tests.e2e.conftest import free_port
from tests.ops.conftest import REPOSITORY

HOST = socket.gethostname()


@pytest.fixture
def settings(context: Flask) -> Settings:
    found: Settings = context.extensions["taskapi_settings"]
    return found


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def web_settings(port: int, tmp_path: Path) -> Settings:
    # Who listens on all addresses is asked by one of them.
    return load_settings({"PORT": str(port), "HOST": "0.0.0.0", "DATA_DIR": str(tmp_path)})


def test_a_web_process_is_well_when_it_answers(web_port: int, tmp_path: Path) -> None:
    assert what_is_wrong("web", web_settings(web_port, tmp_path)) is None


def test_a_web_process_that_does_not_answer_is_not_well(tmp_path: Path) -> None:
    port = free_port()
    line = what_is_wrong("web", web_settings(port, tmp_path))
    assert line == f"nothing answers GET /health on 0.0.0.0 port {port}"


def test_a_scheduler_is_well_while_its_heart_beats(settings: Settings) -> None:
    assert what_is_wrong("scheduler", settings) == f"no scheduler has been heard of on {HOST}; 0 elsewhere"
    with transaction():
        service.beat(name=process_name("scheduler"), kind="scheduler")
    assert what_is_wrong("scheduler", settings) is None


def test_a_scheduler_that_has_been_silent_is_not_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        service.beat(name=process_name("scheduler"), kind="scheduler")
    monkeypatch.setattr(healthcheck, "SCHEDULER_SILENCE_SECONDS", -1.0)
    assert what_is_wrong("scheduler", settings)


def test_the_scheduler_of_another_machine_does_not_answer_for_this_one(settings: Settings) -> None:
    with transaction():
        service.beat(name="scheduler-elsewhere-7-0a1b2c", kind="scheduler")
    assert what_is_wrong("scheduler", settings) == f"no scheduler has been heard of on {HOST}; 1 elsewhere"


def test_a_database_without_our_tables_is_one_line(tmp_path: Path) -> None:
    line = what_is_wrong("scheduler", load_settings({"DATA_DIR": str(tmp_path)}))
    assert line == "the database does not answer, so no scheduler can be seen"
    assert not (tmp_path / "taskapi.db").exists() or (tmp_path / "taskapi.db").stat().st_size == 0


@pytest.mark.one_database
def test_a_worker_is_well_while_it_is_registered(settings: Settings, context: Flask) -> None:
    with Redis.from_url(settings.redis_url) as redis:
        worker = TaskWorker(context, connection=redis)
        assert what_is_wrong("worker", settings) == f"no worker has been heard of on {HOST}; 0 elsewhere"
        worker.register_birth()
        assert registered_workers(redis) == [worker.name]
        assert what_is_wrong("worker", settings) is None
        # Who was killed is on the list still; the entry of its own runs out.
        redis.delete(worker.key)
        assert what_is_wrong("worker", settings)


@pytest.mark.one_database
def test_while_redis_is_away_no_worker_can_be_seen(settings: Settings, tmp_path: Path) -> None:
    away = load_settings({"REDIS_URL": f"unix://{tmp_path}/nobody.sock", "DATA_DIR": str(tmp_path)})
    assert what_is_wrong("worker", away) == "Redis does not answer, so no worker can be seen"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from taskapi.ops.cli import healthcheck_command; healthcheck_command()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_command_says_so_by_its_exit_code(web_port: int, tmp_path: Path) -> None:
    done = run("web", PORT=str(web_port), DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "web is well\n", "")


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    done = run("web", PORT=str(free_port()), DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("taskapi: nothing answers")
    assert done.stderr.count("\n") == 1


def test_a_setting_that_cannot_be_understood_is_one_line(tmp_path: Path) -> None:
    done = run("web", PORT="many", DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "taskapi: PORT must be a whole number, not 'many'\n")


def test_asking_does_not_load_the_application() -> None:
    code = "import sys, taskapi.ops.healthcheck, taskapi.background.registered; print('flask' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "False\n"
