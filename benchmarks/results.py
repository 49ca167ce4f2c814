"""Figures as files and as tables: what the programs found, for ``python -m benchmarks.report``."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

RESULTS = Path(__file__).parent / "results"


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value that so much of the ordered ones is not above; 0 when there is none."""
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """How many times ours is theirs, round by round: the median, the least and the most."""
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    return statistics.median(each), min(each), max(each)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """How many times ours is theirs, round by round: ``median [least-most]``."""
    middle, least, most = ratios(ours, theirs)
    return f"{middle:.2f} [{least:.2f}-{most:.2f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def save(name: str, tables: dict[str, str], figures: Mapping[str, Any]) -> None:
    """Print tables, and keep them with their figures as ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    # Parts of a program may be run one after the other.
    before = load(name) or {}
    when = f"{datetime.now(UTC):%Y-%m-%d}, {commit()}"
    content = {
        "tables": {**before.get("tables", {}), **tables},
        "measured": {**before.get("measured", {}), **dict.fromkeys(tables, when)},
        "figures": {**before.get("figures", {}), **figures},
        "machine": machine(),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1))
    for title, text in tables.items():
        click.echo(f"\n{title}\n\n{text}")


def commit() -> str:
    """The commit that is measured, and whether it was changed since."""
    command = ("git", "describe", "--always", "--dirty", "--exclude", "*")
    done = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no repository"


def load(name: str) -> dict[str, Any] | None:
    """What was kept under the name, if anything was."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def machine() -> str:
    """What the figures are of: processor, cores and Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def versions(names: Sequence[str], python: Path | None = None) -> str:
    """The installed versions of packages, here or in the environment of ``python``."""
    if python is None:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    code = (
        "import sys, importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    )
    done = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    return done.stdout.strip()
