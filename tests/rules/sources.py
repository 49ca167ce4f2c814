"""The source files, as the rules look at them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
APPLICATION = sorted(
    path for folder in ("taskapi", "migrations") for path in (REPOSITORY / folder).rglob("*.py")
)
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """The path as messages and lists of exceptions have it."""
    return path.relative_to(REPOSITORY).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, also those inside classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def lines_of(node: Function) -> int:
    """From ``def`` to the last line."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines_of_body(node: Function) -> int:
    """The lines of the body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1


def files_of_the_project() -> list[Path]:
    """The files that are or will be part of a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := REPOSITORY / name).is_file()]
