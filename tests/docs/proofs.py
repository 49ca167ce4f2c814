"""The tests that pages name as proofs of what they say."""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.rules.sources import TESTS, Function

LIST = re.compile(r"`test_\w+`(, `test_\w+`)*")


@cache
def tests() -> Mapping[str, list[bool]]:
    """By name, of each test that is called so: whether `make test` runs it, as it does all but soaks."""
    found: dict[str, list[bool]] = defaultdict(list)
    for path in TESTS:
        if path.name.startswith("test_"):
            for name, is_soak in _tests_of(path):
                found[name].append(not is_soak)
    return found


def _tests_of(path: Path) -> list[tuple[str, bool]]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    marks = [node.value for node in body if isinstance(node, ast.Assign) and _is_mark(node)]
    of_all = any("mark.soak" in ast.unparse(mark) for mark in marks)
    return [
        (node.name, of_all or any(ast.unparse(mark) == "pytest.mark.soak" for mark in node.decorator_list))
        for node in body
        if isinstance(node, Function) and node.name.startswith("test_")
    ]


def _is_mark(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "pytestmark"


def assert_names_proofs(text: str) -> None:
    """The text is a list of tests, at least one, and `make test` runs each of them.

    Of two of one name, one could go away unnoticed.
    """
    words = " ".join(text.split())
    assert LIST.fullmatch(words), f"no list of tests: {words}"
    named = re.findall(r"\w+", words)
    assert [name for name in named if tests().get(name) != [True]] == [], "not one of make test alone"
