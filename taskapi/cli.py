"""Puts the commands together: ``flask admin …``, ``flask worker``, ``flask scheduler``, ``flask up``."""

import os
import sys

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup

from taskapi.accounts.cli import users
from taskapi.admin.audit_cli import audit_group
from taskapi.admin.cli import stats_command
from taskapi.admin.queue_cli import queues
from taskapi.core.logging import configure_logging
from taskapi.core.meters import tallies_of
from taskapi.core.origin import acting_via
from taskapi.core.runtime import runtime_settings
from taskapi.files.cli import files
from taskapi.ops.backup.cli import backup, restore
from taskapi.ops.cli import healthcheck_command, scheduler_command, up_command, worker_command
from taskapi.ops.demo.cli import demo
from taskapi.ops.doctor.cli import doctor
from taskapi.schedules.cli import runs_group, schedules
from taskapi.tasks.cli import tasks


@click.group("admin", help="Operate this installation from the shell.")
def admin() -> None:
    """Group of the rooms' own groups."""
    # Standard output belongs to the answer, which a script may read.
    configure_logging(runtime_settings(), process="cli", stream=sys.stderr)
    click.get_current_context().with_resource(acting_via("cli"))
    tallies_of(current_app).kind = "cli"


GROUPS = (
    *(audit_group, users, backup, demo, doctor, restore),
    *(files, queues, tasks, stats_command, runs_group, schedules),
)
for group in GROUPS:
    admin.add_command(group)


def register_commands(app: Flask) -> None:
    for command in (admin, worker_command, scheduler_command, up_command, healthcheck_command):
        app.cli.add_command(command)


def main() -> None:
    """The ``taskapi`` command: ``flask`` that knows its application, wherever it is called."""
    os.environ.setdefault("FLASK_APP", "taskapi.wsgi:app")
    FlaskGroup(name="taskapi", help="taskapi: tasks, schedules and the processes behind them.").main(
        sys.argv[1:]
    )
