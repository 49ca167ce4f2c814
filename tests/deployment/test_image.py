"""The Dockerfile: what an image is made of, and who runs in it."""

import re
from fnmatch import fnmatch

import pytest

from tests.deployment.reading import REPOSITORY, complaints, read

# Each instruction on one line.
LINES = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", read("Dockerfile"))).splitlines()
FINAL = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]
COPIED = {
    source.rstrip("/")
    for line in LINES
    if line.startswith("COPY ") and "--from=" not in line
    for source in line.split()[1:-1]
}


def instructions(name: str) -> list[str]:
    """The arguments of an instruction, wherever it stands in the final stage."""
    return [line.removeprefix(f"{name} ") for line in FINAL if line.startswith(f"{name} ")]


def test_hadolint_has_nothing_to_say() -> None:
    assert complaints("hadolint", "--failure-threshold", "style", "Dockerfile") == ""


def test_both_stages_begin_with_the_same_slim_python_and_release_of_debian() -> None:
    bases = {line.split()[1] for line in LINES if line.startswith("FROM ")}
    assert bases == {"python:3.13-slim-trixie"}
    # What is left out of the AWS client is looked for in the folder of that Python.
    assert re.findall(r"lib/python(\d\.\d+)/", read("Dockerfile")) == ["3.13"]


def test_it_runs_as_a_user_who_is_told_by_number_and_is_not_root() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert FINAL.index("USER 10001:10001") > max(
        number for number, line in enumerate(FINAL) if line.startswith(("RUN ", "COPY "))
    )


def test_alone_it_runs_everything_with_its_data_in_a_volume() -> None:
    assert instructions("ENTRYPOINT") == ['["tini", "--"]']
    assert instructions("CMD") == ['["flask", "up"]']
    assert instructions("VOLUME") == ["/data"]
    assert instructions("EXPOSE") == ["8000"]
    (environment,) = instructions("ENV")
    assert {"DATA_DIR=/data", "HOST=0.0.0.0"} <= set(environment.split())


def test_its_health_is_asked_by_a_command_of_ours() -> None:
    (check,) = instructions("HEALTHCHECK")
    assert check.endswith('CMD ["flask", "healthcheck", "web"]')


def test_no_compiler_no_pip_and_no_list_of_packages_is_left_in_it() -> None:
    assert not [line for line in FINAL if re.search(r"\bpip\b|build-essential|\bgcc\b|curl", line)]
    assert all("rm -rf /var/lib/apt/lists/*" in line for line in instructions("RUN") if "apt-get" in line)
    assert "python -m venv --without-pip" in "\n".join(LINES)


def test_nothing_in_it_is_a_secret() -> None:
    assert not re.search(r"(?i)(secret|password|token|_key)\w*=", read("Dockerfile"))


def ignored(name: str) -> bool:
    """What .dockerignore says of a path, the last line that fits decides."""
    answer = False
    for line in read(".dockerignore").splitlines():
        pattern = line.strip().lstrip("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = [name, *(parent.as_posix() for parent in (REPOSITORY / name).relative_to(REPOSITORY).parents)]
        if any(fnmatch(part, pattern) for part in parts if part != "."):
            answer = not line.startswith("!")
    return answer


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    assert COPIED
    assert [name for name in sorted(COPIED) if not (REPOSITORY / name).exists() or ignored(name)] == []


@pytest.mark.parametrize(
    "name", [".env", "var/taskapi.db", ".git/config", "tests/people.py", ".venv/bin/python"]
)
def test_what_is_private_or_not_needed_never_reaches_the_builder(name: str) -> None:
    assert ignored(name)
    assert name.partition("/")[0] not in COPIED
