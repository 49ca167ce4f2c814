"""The service as others start it: by the Procfile as Heroku does, and by the commands of the image."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests

from taskapi.schedules.engine.lease import LEASE_SECONDS
from tests.background.tls import encrypted
from tests.e2e.conftest import free_port
from tests.e2e.installation import BIN, REPOSITORY, START_SECONDS, ApiUser, Installation, in_seconds, wait_for

pytestmark = pytest.mark.e2e

NOBODYS_ID = 10_001


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def outcome_of_a_reminder(url: str) -> dict[str, Any]:
    """Register, schedule something for the next second, and see how it ended."""
    user = ApiUser(url, "ada@example.org")
    user.remind(run_at=in_seconds(1))

    def ended() -> list[dict[str, Any]]:
        return [run for run in user.all_runs() if run["status"] not in ("pending", "running")]

    found: dict[str, Any] = wait_for(ended, seconds=20, what="the run")[0]
    return found


@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_the_procfile_works_as_heroku_runs_it(installation: Installation) -> None:
    socket_path = unquote(urlsplit(installation.environment["REDIS_URL"]).path)
    with encrypted(socket_path) as port:
        environment = {
            **installation.environment,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DYNO": "web.1",
            # Else it may stumble over a signal that comes while it prints, and never end.
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": re.sub(r"^\w+\+psycopg:", "postgres:", installation.environment["DATABASE_URL"]),
            # With a certificate that nobody signed.
            "REDIS_URL": f"rediss://localhost:{port}/0",
        }
        # Without the release, which ends: honcho would end the others too. The fixture has done it.
        command = [str(BIN / "honcho"), "--env", os.devnull, "start", "web", "worker", "scheduler"]
        with open(installation.folder / "honcho.log", "wb") as log:
            honcho = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        try:
            wait_for(installation.is_ready, seconds=START_SECONDS, what="readiness")
            assert outcome_of_a_reminder(installation.url)["status"] == "completed"
        finally:
            honcho.terminate()
            honcho.wait(20)
    assert not answers(f"{installation.url}/health")


@dataclass
class Container:
    """Not one, but as bare: another user, no home, no environment, a directory that is read-only."""

    folder: Path
    settings: dict[str, str]
    identity: dict[str, Any] = field(default_factory=dict)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "output.log", "ab") as log:
            return subprocess.Popen(
                [BIN / command[0], *command[1:]],
                cwd=self.folder / "app",
                env=self.settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.identity,
            )


@pytest.fixture
def container() -> Iterator[Container]:
    # Not below pytest's own folder, which is closed to others.
    folder = Path(tempfile.mkdtemp(prefix="taskapi-image-"))
    (folder / "app").mkdir()
    for name in ("Procfile", "wsgi.py"):
        shutil.copy(REPOSITORY / name, folder / "app")
    (folder / "data").mkdir()
    settings = {
        "PATH": f"{BIN}:{os.defpath}",
        "HOME": "/nonexistent",
        "DATA_DIR": f"{folder}/data",
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "WEATHER": "off",
    }
    folder.chmod(0o755)
    (folder / "app").chmod(0o555)
    found = Container(folder, settings, somebody_else())
    if found.identity:
        os.chown(folder / "data", NOBODYS_ID, NOBODYS_ID)
    yield found
    (folder / "app").chmod(0o755)
    shutil.rmtree(folder)


def somebody_else() -> dict[str, Any]:
    """Who has no rights here, for ``Popen``; nobody where that takes a root, or a Python open to all."""
    identity: dict[str, Any] = {"user": NOBODYS_ID, "group": NOBODYS_ID, "extra_groups": []}
    try:
        subprocess.run([str(BIN / "python"), "-c", ""], check=True, capture_output=True, **identity)
    except (PermissionError, subprocess.CalledProcessError):
        return {}
    return identity


@contextmanager
def whole_of_it(container: Container) -> Iterator[str]:
    """All processes for as long as the block lasts; the address they serve."""
    leader = container.start("flask", "up")
    url = f"http://127.0.0.1:{container.settings['PORT']}"
    try:
        wait_for(lambda: answers(f"{url}/api/health/ready"), seconds=START_SECONDS, what="readiness")
        yield url
    finally:
        leader.terminate()
        assert leader.wait(15) == 0


def test_the_image_alone_serves_and_is_well(container: Container) -> None:
    with whole_of_it(container) as url:
        assert outcome_of_a_reminder(url)["status"] == "completed"
        checks = [container.start("flask", "healthcheck", kind) for kind in ("web", "worker", "scheduler")]
        assert [check.wait(30) for check in checks] == [0, 0, 0]
    if container.identity:
        owners = {path.stat().st_uid for path in (container.folder / "data").rglob("*")}
        assert owners == {NOBODYS_ID}


def test_what_it_was_doing_when_it_was_stopped_is_done_as_soon_as_it_is_back(container: Container) -> None:
    container.settings["WEBHOOK_ALLOW_PRIVATE"] = "1"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        target = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with whole_of_it(container) as url:
            user = ApiUser(url, "ada@example.org")
            action = {"action": "webhook", "params": {"url": target, "method": "POST"}}
            user.post("/schedules", {**action, "run_at": in_seconds(1)})
            first, _ = silent.accept()
            began = time.monotonic()
        with ThreadPoolExecutor() as pool, whole_of_it(container):
            second, began_again = pool.submit(lambda: (silent.accept()[0], time.monotonic())).result(60)
            (run,) = user.all_runs()
        first.close()
        second.close()
    assert run["attempt"] == 2
    # As long as the death of its worker is not told, it waits for its lease.
    assert began_again - began < LEASE_SECONDS
