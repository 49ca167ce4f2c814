"""`flask admin stats`: how the whole installation does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from flask import current_app

from taskapi.admin import stats
from taskapi.admin.stats import Stats
from taskapi.admin.stats_schemas import StatsSchema
from taskapi.core.cli import as_json_option, fail_with_one_line, print_rows


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table."""

    what: str
    value: Any


@click.command("stats")
@as_json_option
@fail_with_one_line
def stats_command(as_json: bool) -> None:
    """Show people, work, store, queues and scheduler in figures."""
    found = stats.read_stats()
    if as_json:
        click.echo(current_app.json.dumps(StatsSchema().dump(found)))
        return
    print_rows(list(_figures(found)), ("what", "value"), as_json=False)


def _figures(found: Stats) -> Iterator[Figure]:
    for group in ("users", "tasks", "schedules", "runs", "runs_last_24_hours", "files", "storage"):
        for name, value in getattr(found, group).items():
            yield Figure(f"{group}: {name}", value)
    for queue in found.queues or ():
        yield Figure(f"queue {queue.name}: queued", queue.queued)
    yield Figure("queues: queued", found.queue_depth)
    for name, value in found.scheduler.items():
        yield Figure(f"scheduler: {name}", value)
    yield Figure("workers", found.workers)
