"""Writes what was measured into docs/benchmarks.md: ``python -m benchmarks.report``.

Each program leaves its tables under ``benchmarks/results``; they go between the lines
``<!-- name: begin -->`` and ``<!-- name: end -->``, below a picture of them. What was not measured
stays as it was.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.drawing import Bar, bars, lines
from benchmarks.results import load, ratios

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
# In a folder beside the page.
PICTURES = "images"
OURS = "taskapi"
NAMES = ("http", "queues", "growth", "memory", "starting")


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
    measured = found.get("measured", {})
    parts = [f"{title}{_when(measured.get(title))}:\n\n{table}" for title, table in found["tables"].items()]
    return "\n\n".join([*parts, f"Measured on {found['machine']}."])


def _when(measured: str | None) -> str:
    return f" ({measured})" if measured else ""


def bars_of(rates: Mapping[str, Sequence[float]]) -> list[Bar]:
    """How many times as many a second taskapi does as each rival: rates of each round, by system."""
    ours = next(each for name, each in rates.items() if name.startswith(OURS))
    rivals = {name: each for name, each in rates.items() if not name.startswith(OURS)}
    return [Bar(name, *ratios(ours, each)) for name, each in rivals.items()]


def picture_of_http(figures: Mapping[str, Any]) -> str:
    """Answers a second, of each scenario."""
    groups = {
        scenario: bars_of({name: [one["per_second"] for one in each] for name, each in systems.items()})
        for scenario, systems in figures.items()
    }
    return bars("Answers a second: taskapi beside each rival", groups)


def picture_of_queues(figures: Mapping[str, Any]) -> str | None:
    """Jobs and runs a second, and how soon all that was due at once had begun."""
    groups = {name: bars_of(figures[name]) for name in ("jobs", "runs") if name in figures}
    for way, lags in figures.get("lag", {}).items():
        if "instant" in way:
            # Lags are in order. Who is twice as fast has begun the last in half the time.
            groups[way] = bars_of({name: [1 / each[-1]] for name, each in lags.items()})
    return bars("Work a second: taskapi beside each rival", groups) if groups else None


def picture_of_growth(figures: Mapping[str, Any]) -> str | None:
    """Milliseconds of each call against how many runs or tasks there are."""
    each: dict[str, list[tuple[float, float]]] = {}
    for kind in ("runs", "tasks"):
        for size, calls in figures.get(kind, {}).items():
            for call, milliseconds in calls.items():
                each.setdefault(f"{kind}: {call}", []).append((float(size), milliseconds))
    return lines("Median time of a call against what is stored", "runs, or tasks", each) if each else None


DRAWN = {"http": picture_of_http, "queues": picture_of_queues, "growth": picture_of_growth}
SAYS = {
    "http": "Bars: how many times as many answers a second taskapi gives as each rival, by scenario",
    "queues": "Bars: how many times as much work a second taskapi does as each rival",
    "growth": "Lines: the time of each call against the number of runs or tasks stored",
}


def drawn(name: str, folder: Path) -> str | None:
    """Draw the picture of one program into the folder; what shows it in Markdown."""
    found = load(name)
    picture = DRAWN[name](found["figures"]) if found and name in DRAWN else None
    if picture is None:
        return None
    (folder / f"benchmarks-{name}.svg").write_text(picture)
    return f"![{SAYS[name]}]({PICTURES}/benchmarks-{name}.svg)"


@click.command()
def command() -> None:
    """Write the tables and pictures of all programs that were run."""
    page = PAGE.read_text()
    for name in NAMES:
        text = text_of(name)
        if text is not None:
            shown = drawn(name, PAGE.parent / PICTURES)
            page = replaced(page, name, f"{shown}\n\n{text}" if shown else text)
            click.echo(name)
    PAGE.write_text(page)


if __name__ == "__main__":
    command()
