"""`flask admin queues`: what waits, who works on it, and which jobs have failed."""

from dataclasses import asdict

import click
from flask import current_app

from taskapi.background.queues import QueueFigures, list_queues
from taskapi.background.shown_jobs import failed_jobs
from taskapi.core.cli import as_json_option, fail_with_one_line, print_rows

COLUMNS = ("name", "queued", "started", "failed", "scheduled", "oldest_seconds", "working", "workers")
FAILED_COLUMNS = ("queue", "id", "description", "failed_at", "error")
FAILED_LIMIT = 100


@click.command("queues")
@click.option("--failed", is_flag=True, help="The jobs of the last day that ended with an error instead.")
@as_json_option
@fail_with_one_line
def queues(failed: bool, as_json: bool) -> None:
    """Show what waits in each queue and who works on it.

    Nothing is lost with a queue: what is to be done is in the database.
    """
    if failed:
        print_rows(failed_jobs(limit=FAILED_LIMIT), FAILED_COLUMNS, as_json=as_json)
    elif as_json:
        click.echo(current_app.json.dumps([asdict(queue) for queue in list_queues()]))
    else:
        print_rows([_Row(queue) for queue in list_queues()], COLUMNS, as_json=False)


class _Row:
    """A queue as people read it."""

    def __init__(self, queue: QueueFigures) -> None:
        self.name, self.queued, self.started = queue.name, queue.queued, queue.started
        self.failed, self.scheduled = queue.failed, queue.scheduled
        self.oldest_seconds = None if queue.oldest_seconds is None else round(queue.oldest_seconds, 1)
        self.workers = len(queue.workers)
        self.working = sum(worker.state == "busy" for worker in queue.workers)
