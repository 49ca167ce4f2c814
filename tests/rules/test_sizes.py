"""Files and functions stay small."""

import ast
from pathlib import Path

import pytest

from tests.rules.sources import (
    APPLICATION,
    REPOSITORY,
    TESTS,
    Function,
    functions,
    lines_of,
    lines_of_body,
    name_of,
)

# The first migration makes all tables. What else stands here is to be split, and not to grow.
LONG_FILES = {"migrations/versions/0001_initial_tables.py": 400}
LONG_FUNCTIONS = {"migrations/versions/0001_initial_tables.py: upgrade"}


def too_long(paths: list[Path], limit: int) -> set[str]:
    return {name_of(path) for path in paths if len(path.read_text().splitlines()) > limit}


def in_files(name: str) -> list[tuple[str, Function]]:
    """The functions of all files of this name, each with where it stands."""
    return [
        (f"{name_of(path)}: {node.name}", node)
        for path in APPLICATION
        if path.name == name
        for node in functions(path)
    ]


def test_a_file_has_300_lines_at_most() -> None:
    assert too_long(APPLICATION, 300) <= LONG_FILES.keys()
    assert {name for name, limit in LONG_FILES.items() if too_long([REPOSITORY / name], limit)} == set()


def test_a_file_of_tests_has_500_lines_at_most() -> None:
    assert too_long(TESTS, 500) == set()


def test_a_function_has_60_lines_at_most() -> None:
    long = {
        f"{name_of(path)}: {node.name}"
        for path in [*APPLICATION, *TESTS]
        for node in functions(path)
        if lines_of(node) > 60
    }
    assert long == LONG_FUNCTIONS


@pytest.mark.parametrize(
    ("file", "limit"), [("views.py", 12), ("jobs.py", 15), ("service.py", 40), ("cli.py", 25)]
)
def test_the_body_of_a_function_at_an_edge_is_short(file: str, limit: int) -> None:
    found = in_files(file)
    assert found
    assert [where for where, node in found if lines_of_body(node) > limit] == []


def test_a_service_takes_its_arguments_by_name() -> None:
    # One argument alone cannot be mistaken for another.
    positional = [
        where
        for where, node in in_files("service.py")
        if not node.name.startswith("_") and len(node.args.posonlyargs + node.args.args) > 1
    ]
    assert positional == []


def test_a_job_takes_ids_only() -> None:
    annotations = {
        ast.unparse(argument.annotation or ast.Constant(None))
        for _where, node in in_files("jobs.py")
        for argument in node.args.args
    }
    assert annotations == {"str"}
