"""A real installation for end-to-end tests: its own processes, database and Valkey."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import requests

from taskapi.config import embedded_redis_url

# Each process takes seconds of processor time to load, and a busy machine has little of it.
START_SECONDS = 120.0
BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]
PASSWORD = "correct horse battery"


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    """The settings of an installation whose data and Redis lie in ``folder``, without limits or weather."""
    limits = {f"RATE_LIMIT_{name}": "off" for name in ("DEFAULT", "AUTH", "ACCOUNT")}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SECRET_KEY": "a secret for tests that is long enough",
        "DATA_DIR": str(folder),
        "REDIS_URL": embedded_redis_url(folder),
        "LOG_FORMAT": "json",
        "WEATHER": "off",
        "FLASK_APP": "wsgi.py",
        **limits,
        "USER_MAILS_PER_HOUR": "0",
        **more,
    }


def wait_for(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true answer of ``condition``, asked ten times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def is_answering(address: str) -> bool:
    """Whether a web server is there."""
    try:
        return requests.get(f"{address}/api/health", timeout=10).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


@dataclass
class Installation:
    """Processes that share a database and a Valkey; ``stop`` ends them all."""

    folder: Path
    port: int
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    # What one process has another setting for, such as the port of a second web server.
    settings_of: dict[str, dict[str, str]] = field(default_factory=dict)
    # What the web process listens on, if somebody holds it who outlives the process, as systemd does.
    door: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *command: str) -> str:
        """Run a ``flask`` command to its end and return what it printed."""
        done = subprocess.run(
            [BIN / "flask", *command],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            timeout=START_SECONDS,
            check=True,
        )
        return done.stdout.decode()

    def start(self, name: str) -> None:
        """Start ``web``, or ``worker-1``, ``scheduler-2`` …"""
        kind = name.partition("-")[0]
        commands: dict[str, list[str | Path]] = {
            "web": [BIN / "gunicorn", "-c", "python:taskapi.ops.gunicorn_settings", "wsgi:app"],
            "worker": [BIN / "flask", "worker"],
            "scheduler": [BIN / "flask", "scheduler"],
        }
        command, descriptors = commands[kind], list[int]()
        if kind == "web" and self.door is not None:
            descriptors = [self.door.fileno()]
            # As sd_listen_fds(3) has it: descriptors from 3 on, for the process of this id.
            hand_over = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&{self.door.fileno()}'
            command = ["/bin/bash", "-c", hand_over, "web", *command]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                pass_fds=descriptors,
                cwd=REPOSITORY,
                env=self.environment | self.settings_of.get(name, {}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_all(self, *names: str) -> None:
        for name in names:
            self.start(name)
        wait_for(self.is_ready, seconds=START_SECONDS, what="readiness")

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/health/ready", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def restart(self, name: str) -> None:
        """End a process as a service manager does, and start it again once it has ended."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(timeout=60)
        self.start(name)

    def is_answering(self) -> bool:
        return is_answering(self.url)

    def kill(self, name: str) -> None:
        """kill -9 of one process, as an out-of-memory killer would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait(timeout=10)

    def stop(self) -> None:
        """End all at once: how they end when they are asked to is for other tests."""
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait(timeout=10)

    def log_text(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


class ApiUser:
    """A person who uses the API over the network."""

    def __init__(self, url: str, email: str) -> None:
        self.url = f"{url}/api"
        self.session = requests.Session()
        account = {"email": email, "password": PASSWORD, "timezone": "Europe/Paris"}
        requests.post(f"{self.url}/auth/register", json=account, timeout=10).raise_for_status()
        answer = requests.post(
            f"{self.url}/auth/login", json={"email": email, "password": PASSWORD}, timeout=10
        )
        answer.raise_for_status()
        self.token: str = answer.json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def signed_in_again(self) -> Self:
        """The same person with connections of their own."""
        self.session.close()
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.token}"
        return self

    def post(self, path: str, json: Any = None) -> Any:
        answer = self.session.post(self.url + path, json=json, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str, **params: Any) -> Any:
        answer = self.session.get(self.url + path, params=params, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def walk(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Everything in a list, page by page with the cursor."""
        items: list[dict[str, Any]] = []
        page = self.get(path, per_page=100, **params)
        while True:
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            page = self.get(path, per_page=100, cursor=page["next_cursor"])

    def all_runs(self) -> list[dict[str, Any]]:
        return self.walk("/runs")

    def remind(self, **schedule: Any) -> dict[str, Any]:
        """Schedule a reminder."""
        body = {"action": "reminder", "params": {"message": "Time for tea"}, **schedule}
        created: dict[str, Any] = self.post("/schedules", body)
        return created


def in_seconds(seconds: float) -> str:
    """That time from now, as the API reads it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
