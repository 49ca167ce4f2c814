"""The workflows of GitHub Actions: checked as every change and once a week, and what a tag sets off."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.reading import REPOSITORY, against_schema, read, read_yaml

FILES = sorted(
    path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / ".github/workflows").iterdir()
)
NAMES = ("ci", "release", "weekly")
CI, RELEASE, WEEKLY = WORKFLOWS = [read_yaml(f".github/workflows/{name}.yml") for name in NAMES]


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def test_they_are_as_github_wants_them() -> None:
    assert [f".github/workflows/{name}.yml" for name in NAMES] == FILES
    assert against_schema("vendor.github-workflows", *FILES) == ""


def promised() -> list[str]:
    return re.findall(r"Programming Language :: Python :: (3\.\d+)$", read("setup.cfg"), re.MULTILINE)


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_each_python_that_is_promised_runs_the_same_make_test() -> None:
    job = CI["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == promised()
    assert commands(job) == ["make test PYTHON=python"]


def test_each_week_or_when_asked_what_takes_long_and_what_is_known_of_packages_is_looked_at() -> None:
    assert WEEKLY["on"].keys() == {"schedule", "workflow_dispatch"}
    # Minute, hour, and a day of the week.
    ((_, line),) = [item for each in WEEKLY["on"]["schedule"] for item in each.items()]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", line)
    jobs = WEEKLY["jobs"]
    assert {name: commands(job) for name, job in jobs.items()} == {
        name: [f"make {name} PYTHON=python"] for name in ("audit", "soak")
    }
    newest = {"python-version": promised()[-1]}
    for job in jobs.values():
        (setup,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")]
        (of_ci,) = [step for step in CI["jobs"]["test"]["steps"] if step.get("uses") == setup["uses"]]
        assert setup["with"] == of_ci["with"] | newest


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=NAMES)
def test_a_workflow_may_only_read_unless_a_job_says_otherwise(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    assert all("timeout-minutes" in job for job in workflow["jobs"].values() if "uses" not in job)
    assert all(
        step["with"]["persist-credentials"] is False
        for step in steps(workflow)
        if step.get("uses", "").startswith("actions/checkout@")
    )
    assert [
        step["uses"] for step in steps(workflow) if not re.search(r"@v\d+$", step.get("uses", "@v1"))
    ] == []


def test_no_script_has_anything_of_a_stranger_pasted_into_it() -> None:
    scripts = [step["run"] for workflow in WORKFLOWS for step in steps(workflow) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []


def test_a_tag_is_checked_then_built_and_only_then_deployed() -> None:
    assert RELEASE["on"] == {"push": {"tags": ["v*"]}}
    jobs = RELEASE["jobs"]
    assert jobs["check"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in CI["on"]
    assert (jobs["image"]["needs"], jobs["deploy"]["needs"]) == ("check", "image")


HOOK = next(step for step in RELEASE["jobs"]["deploy"]["steps"] if "DEPLOY_HOOK_URL" in step["env"])


def call_hook(folder: Path, url: str) -> tuple[str, list[str]]:
    """Run the step with a curl that only notes how it was called; what it printed, and the notes."""
    (folder / "curl").write_text('#!/bin/sh\nfor word; do echo "$word"; done > "$NOTES"\n')
    (folder / "curl").chmod(0o755)
    notes = folder / "notes"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "NOTES": str(notes), "DEPLOY_HOOK_URL": url}
    environment |= {"REPOSITORY": "Example/TaskAPI", "DIGEST": "sha256:0123", "TAG": "v1.2.3"}
    script = ["bash", "-eo", "pipefail", "-c", HOOK["run"]]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout, notes.read_text().splitlines() if notes.exists() else []


def test_the_deploy_hook_is_told_which_image_and_tried_again(tmp_path: Path) -> None:
    _, words = call_hook(tmp_path, "https://deploy.example.org/hook")
    assert words[-1] == "https://deploy.example.org/hook"
    assert {"--fail", "--retry", "--max-time"} <= set(words)
    body = json.loads(words[words.index("--json") + 1])
    assert body == {"image": "ghcr.io/example/taskapi@sha256:0123", "tag": "v1.2.3"}


def test_without_a_deploy_hook_nothing_is_called(tmp_path: Path) -> None:
    printed, words = call_hook(tmp_path, "")
    assert "nothing is deployed" in printed
    assert words == []
