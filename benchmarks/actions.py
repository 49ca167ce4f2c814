"""What taskapi's workers do in measurements: an action, brought as any package would, and a bare job."""

from pathlib import Path
from typing import Any

from benchmarks.rivals.stamps import stamp
from taskapi.plugins import Action, RunContext, Schema

NAME = "benchmark_stamp"
JOB = "benchmarks.actions.plain"


class NothingSchema(Schema):
    """No params."""


def _note(context: RunContext, _params: dict[str, Any]) -> dict[str, Any]:
    stamp(context.scheduled_for.timestamp())
    return {}


STAMP = Action(NAME, "Notes when it began", NothingSchema, _note)


def plain(due: str) -> None:
    """A job without a run."""
    stamp(float(due))


def write_plugin(folder: Path) -> Path:
    """What an installed package leaves that brings the action; the folder belongs on PYTHONPATH."""
    metadata = folder / "taskapi_benchmark-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: taskapi-benchmark\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[taskapi.actions]\nstamp = benchmarks.actions:STAMP\n")
    return folder
