"""Puts the commands together: ``flask admin …``, ``flask worker``, ``flask scheduler``, ``flask up``."""

import os
import sys
from importlib import import_module
from typing import cast

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup

from taskapi.core.logging import configure_logging
from taskapi.core.meters import tallies_of
from taskapi.core.origin import acting_via
from taskapi.core.runtime import runtime_settings
from taskapi.ops.cli import healthcheck_command, scheduler_command, up_command, worker_command

# Where the rooms' own groups are: loaded when one is asked for, as most processes run none of them.
GROUPS = {
    "audit": "taskapi.admin.audit_cli:audit_group",
    "backup": "taskapi.ops.backup.cli:backup",
    "demo": "taskapi.ops.demo.cli:demo",
    "doctor": "taskapi.ops.doctor.cli:doctor",
    "files": "taskapi.files.cli:files",
    "queues": "taskapi.admin.queue_cli:queues",
    "restore": "taskapi.ops.backup.cli:restore",
    "runs": "taskapi.schedules.cli:runs_group",
    "schedules": "taskapi.schedules.cli:schedules",
    "stats": "taskapi.admin.cli:stats_command",
    "tasks": "taskapi.tasks.cli:tasks",
    "users": "taskapi.accounts.cli:users",
}


class RoomGroups(click.Group):
    """The rooms' groups, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The group of this name, if there is one."""
        if cmd_name not in GROUPS:
            return None
        module, _, name = GROUPS[cmd_name].partition(":")
        return cast(click.Command, getattr(import_module(module), name))


@click.group("admin", cls=RoomGroups, help="Operate this installation from the shell.")
def admin() -> None:
    """Group of the rooms' own groups."""
    # Standard output belongs to the answer, which a script may read.
    configure_logging(runtime_settings(), process="cli", stream=sys.stderr)
    click.get_current_context().with_resource(acting_via("cli"))
    tallies_of(current_app).kind = "cli"


def register_commands(app: Flask) -> None:
    for command in (admin, worker_command, scheduler_command, up_command, healthcheck_command):
        app.cli.add_command(command)


def main() -> None:
    """The ``taskapi`` command: ``flask`` that knows its application, wherever it is called."""
    os.environ.setdefault("FLASK_APP", "taskapi.wsgi:app")
    FlaskGroup(name="taskapi", help="taskapi: tasks, schedules and the processes behind them.").main(
        sys.argv[1:]
    )
