"""The commands of the repository's root, and its sample of the settings."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.ops.conftest import REPOSITORY

MAKEFILE = (REPOSITORY / "Makefile").read_text()
ENV_EXAMPLE = (REPOSITORY / ".env.example").read_text()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with nothing but the Makefile and what it depends on."""
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    return tmp_path


def make(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run make as on a bare machine."""
    environment = {"HOME": str(directory), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["make", *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )


def test_make_alone_lists_every_target(directory: Path) -> None:
    result = make(directory)
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    assert re.findall(r"^  make (\S+) +\S", result.stdout, re.MULTILINE) == phony
    assert {"help", "install", "run", "test", "lint"} <= set(phony)


def test_a_python_that_is_too_old_is_told_clearly(directory: Path) -> None:
    result = make(directory, "run", "PYTHON=false")
    assert result.returncode != 0
    assert result.stderr.startswith("taskapi needs Python 3.11 or newer; name one: make PYTHON=")
    assert not (directory / ".venv").exists()


def test_a_second_run_installs_nothing(directory: Path) -> None:
    (directory / ".venv/bin").mkdir(parents=True)
    for command in ("python", "flask"):
        program = directory / ".venv/bin" / command
        program.write_text(f'#!/bin/sh\necho "{command} $*"\n')
        program.chmod(0o700)
    assert "pip install" in make(directory, "run").stdout
    assert make(directory, "run").stdout == "flask up\n"


def test_a_changed_requirement_is_installed_by_the_next_run(directory: Path) -> None:
    test_a_second_run_installs_nothing(directory)
    os.utime(directory / "requirements.txt", (2**32, 2**32))
    assert "pip install" in make(directory, "run").stdout


def test_the_build_server_runs_the_tests_and_nothing_else() -> None:
    lines = (REPOSITORY / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_one_exact_version(name: str) -> None:
    lines = (REPOSITORY / name).read_text().splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith(("#", "-r "))]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", pin)] == []


def test_the_sample_names_every_setting_and_no_other() -> None:
    trees = [
        ast.parse((REPOSITORY / "taskapi" / name).read_text())
        for name in ("config.py", "config_files.py", "config_operations.py", "config_tasks.py")
    ]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    read = {name for call in calls for name in setting_names(call)}
    shown = set(re.findall(r"^#([A-Z0-9_]+)=", ENV_EXAMPLE, re.MULTILINE))
    # Set by the platform, not by the operator.
    assert shown == read - {"DYNO"}


def setting_names(call: ast.Call) -> set[str]:
    """The settings that a call such as ``env.text("HOST")`` reads."""
    if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "env"):
        return set()
    # Only first() takes several names; after the name others take a default.
    names = call.args if call.func.attr == "first" else call.args[:1]
    return {ast.literal_eval(name) for name in names}


def test_the_tools_of_pre_commit_are_those_of_lint() -> None:
    hooks = re.findall(
        r"entry: (.+?)(?: --force-exclude)?\n", (REPOSITORY / ".pre-commit-config.yaml").read_text()
    )
    recipes = [f".venv/bin/{tool}" for tool in ("ruff check", "ruff format --check", "mypy")]
    assert hooks == recipes
    assert all(recipe.replace(".venv/bin", "$(BIN)") in MAKEFILE for recipe in recipes)
