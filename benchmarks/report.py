"""Writes what was measured into docs/benchmarks.md: ``python -m benchmarks.report``.

Each program leaves its tables under ``benchmarks/results``; they go between the lines
``<!-- name: begin -->`` and ``<!-- name: end -->``. What was not measured stays as it was.
"""

import re
from pathlib import Path

import click

from benchmarks.results import load

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
NAMES = ("http", "queues", "growth", "memory")


def replaced(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of this name.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"there are no marks for {name}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def text_of(name: str) -> str | None:
    """The tables of one program as Markdown, if it was run."""
    found = load(name)
    if found is None:
        return None
    parts = [f"{title}:\n\n{table}" for title, table in found["tables"].items()]
    return "\n\n".join([*parts, f"Measured on {found['machine']}."])


@click.command()
def command() -> None:
    """Write the tables of all programs that were run."""
    page = PAGE.read_text()
    for name in NAMES:
        text = text_of(name)
        if text is not None:
            page = replaced(page, name, text)
            click.echo(name)
    PAGE.write_text(page)


if __name__ == "__main__":
    command()
