"""The documents tell the truth: their commands are typed, the answers are compared, words are looked up."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.docs import proofs
from tests.e2e.conftest import free_port
from tests.e2e.installation import BIN, REPOSITORY, wait_for

PAGES = ("README.md", "docs/api.md")
CURL = """#!{python}
# Stands in for curl on machines without it, for the options that the tour uses.
import sys, urllib.error, urllib.request
options, headers, body, url, method, show = iter(sys.argv[1:]), {{}}, None, "", None, False
for option in options:
    if option == "-H":
        name, _, value = next(options).partition(": ")
        headers[name] = value
    elif option == "--json":
        body = next(options).encode()
        headers["Content-Type"] = "application/json"
    elif option == "-X":
        method = next(options)
    elif option in ("-s", "-si"):
        show = option == "-si"
    else:
        url = option
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method))
except urllib.error.HTTPError as refusal:
    answer = refusal
if show:
    print("HTTP/1.1", answer.status)
    print(answer.headers)
sys.stdout.write(answer.read().decode())
"""


def steps_of(page: str) -> list[tuple[str, str]]:
    """Each command of a page's console blocks with the output it shows."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], ""))
            else:
                command, output = steps.pop()
                steps.append((command, f"{output}{line}\n"))
    return steps


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a ``flask up`` that was started in an empty folder."""
    number = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(number)}
    with open(tmp_path / "up.log", "wb") as log:
        leader = subprocess.Popen(
            [BIN / "flask", "up"], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
    wait_for(lambda: is_ready(number), seconds=60, what="readiness")
    yield number
    leader.terminate()
    leader.wait(timeout=10)


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/api/health/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.mark.e2e
def test_the_commands_give_the_answers_that_are_shown(port: int, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        stand_in = tmp_path / "curl"
        stand_in.write_text(CURL.format(python=sys.executable))
        stand_in.chmod(0o755)
    for page in PAGES:
        steps = steps_of(page)
        assert len(steps) > 10
        type_in(steps, port, tmp_path)


def type_in(steps: list[tuple[str, str]], port: int, folder: Path) -> None:
    marker = "--- end of step ---"
    script = "".join(f"{command}\necho; echo '{marker}'\n" for command, _ in steps)
    done = subprocess.run(
        ["sh"],
        input=script.replace("127.0.0.1:8000", f"127.0.0.1:{port}"),
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    outputs = done.stdout.split(marker)
    for (command, expected), output in zip(steps, outputs, strict=False):
        pattern = ".*?".join(re.escape(part) for part in expected.strip().split("…"))
        assert re.fullmatch(pattern, output.strip(), flags=re.DOTALL), f"{command}\nanswers\n{output}"


@pytest.mark.parametrize("page", ["guarantees.md", "security.md"])
def test_every_test_that_is_named_as_a_proof_exists_once(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    files = {path.name for path in (REPOSITORY / "tests").rglob("test_*.py")}
    named = re.findall(r"\b(test_\w+)(\.py)?", text)
    assert len(named) > 10
    for name, is_file in named:
        assert f"{name}.py" in files if is_file else len(proofs.tests().get(name, [])) == 1, name
