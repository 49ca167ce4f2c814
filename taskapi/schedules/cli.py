"""`flask admin schedules` and `flask admin runs`: everybody's, from the shell."""

from collections.abc import Sequence
from uuid import UUID

import click

from taskapi.accounts import service as accounts
from taskapi.accounts.completing import complete_login
from taskapi.core.cli import as_json_option, confirm, fail_with_one_line, print_rows, yes_option
from taskapi.core.db import transaction
from taskapi.schedules import control, operating, runs
from taskapi.schedules.run_schemas import RUN_STATUSES
from taskapi.schedules.schemas import SCHEDULE_STATUSES

SCHEDULE_COLUMNS = ("id", "name", "owner", "action", "when", "status", "next_run_at", "created_at")
SCHEDULE_DETAILS = (
    *(*SCHEDULE_COLUMNS, "timezone", "params", "catch_up", "overlap", "timeout", "run_count", "stats"),
    *("failures_in_row", "fault", "version", "updated_at"),
)
RUN_COLUMNS = (
    *("id", "schedule_id", "owner", "action", "scheduled_for", "status", "reason", "attempt"),
    *("lag_ms", "duration_ms"),
)
RUN_DETAILS = (
    *(*RUN_COLUMNS, "trigger", "max_attempts", "queued_at", "started_at", "finished_at", "worker"),
    *("params", "result", "error", "cancel_requested_at"),
)

owner_option = click.option(
    "--owner", metavar="USER", shell_complete=complete_login, help="Only those of this user."
)
action_option = click.option("--action", multiple=True, help="Only of this action; repeatable.")
limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many."
)
schedule_argument = click.argument("schedule_id", metavar="ID")
run_argument = click.argument("run_id", metavar="ID")


@click.group("schedules", help="Schedules: list, show, pause, resume, run, cancel.")
def schedules() -> None:
    """Group of the commands below."""


@schedules.command("list")
@owner_option
@action_option
@click.option("--status", multiple=True, type=click.Choice(SCHEDULE_STATUSES, case_sensitive=False))
@click.option("-q", "q", metavar="TEXT", help="Part of the name.")
@limit_option
@as_json_option
@fail_with_one_line
def list_schedules(
    owner: str | None,
    action: tuple[str, ...],
    status: tuple[str, ...],
    q: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List schedules, newest first."""
    found = operating.list_schedules(
        owner_id=_owner_ids(owner), action=action, status=status, q=q, limit=limit
    )
    print_rows(found, SCHEDULE_COLUMNS, as_json=as_json)


@schedules.command("show")
@schedule_argument
@as_json_option
@fail_with_one_line
def show_schedule(schedule_id: str, as_json: bool) -> None:
    """Show a schedule."""
    _print_schedule(operating.schedule_id_of(text=schedule_id), SCHEDULE_DETAILS, as_json=as_json)


@schedules.command("pause")
@schedule_argument
@as_json_option
@fail_with_one_line
def pause_schedule(schedule_id: str, as_json: bool) -> None:
    """Hold a schedule; what falls due meanwhile gets its verdict at resume."""
    found = operating.schedule_id_of(text=schedule_id)
    with transaction():
        control.pause_schedule(actor=None, schedule_id=found)
    _print_schedule(found, as_json=as_json)


@schedules.command("resume")
@schedule_argument
@as_json_option
@fail_with_one_line
def resume_schedule(schedule_id: str, as_json: bool) -> None:
    """Let a paused schedule go on."""
    found = operating.schedule_id_of(text=schedule_id)
    with transaction():
        control.resume_schedule(actor=None, schedule_id=found)
    _print_schedule(found, as_json=as_json)


@schedules.command("run")
@schedule_argument
@as_json_option
@fail_with_one_line
def run_schedule(schedule_id: str, as_json: bool) -> None:
    """Run a schedule once now, beside its due times; shows the run."""
    found = operating.schedule_id_of(text=schedule_id)
    with transaction():
        run_id = control.run_now(actor=None, schedule_id=found).id
    _print_run(run_id, RUN_COLUMNS, as_json=as_json)


@schedules.command("cancel")
@schedule_argument
@yes_option
@as_json_option
@fail_with_one_line
def cancel_schedule(schedule_id: str, yes: bool, as_json: bool) -> None:
    """End a schedule for good."""
    found = operating.schedule_id_of(text=schedule_id)
    name = operating.show_schedule(schedule_id=found).name
    confirm(f"Cancel schedule {name!r} for good?", yes=yes)
    with transaction():
        control.cancel_schedule(actor=None, schedule_id=found)
    _print_schedule(found, as_json=as_json)


# The group's name as a variable is taken by the module of their rules.
@click.group("runs", help="Runs: list, show, retry, cancel.")
def runs_group() -> None:
    """Group of the commands below."""


@runs_group.command("list")
@owner_option
@action_option
@click.option("--status", multiple=True, type=click.Choice(RUN_STATUSES, case_sensitive=False))
@click.option("--schedule", "schedule", metavar="ID", help="Only those of this schedule.")
@limit_option
@as_json_option
@fail_with_one_line
def list_runs(
    owner: str | None,
    action: tuple[str, ...],
    status: tuple[str, ...],
    schedule: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, newest first."""
    of_one = None if schedule is None else operating.schedule_id_of(text=schedule)
    found = operating.list_runs(
        owner_id=_owner_ids(owner), action=action, status=status, schedule_id=of_one, limit=limit
    )
    print_rows(found, RUN_COLUMNS, as_json=as_json)


@runs_group.command("show")
@run_argument
@as_json_option
@fail_with_one_line
def show_run(run_id: str, as_json: bool) -> None:
    """Show a run."""
    _print_run(operating.run_id_of(text=run_id), RUN_DETAILS, as_json=as_json)


@runs_group.command("retry")
@run_argument
@as_json_option
@fail_with_one_line
def retry_run(run_id: str, as_json: bool) -> None:
    """Do a run again that failed, was cancelled or skipped."""
    found = operating.run_id_of(text=run_id)
    with transaction():
        runs.retry_run(actor=None, run_id=found)
    _print_run(found, RUN_COLUMNS, as_json=as_json)


@runs_group.command("cancel")
@run_argument
@as_json_option
@fail_with_one_line
def cancel_run(run_id: str, as_json: bool) -> None:
    """End a run; one in progress is told to stop."""
    found = operating.run_id_of(text=run_id)
    with transaction():
        runs.cancel_run(actor=None, run_id=found)
    _print_run(found, RUN_DETAILS, as_json=as_json)


def _print_schedule(schedule_id: UUID, columns: Sequence[str] = SCHEDULE_COLUMNS, *, as_json: bool) -> None:
    print_rows([operating.show_schedule(schedule_id=schedule_id)], columns, as_json=as_json)


def _print_run(run_id: UUID, columns: Sequence[str], *, as_json: bool) -> None:
    print_rows([operating.show_run(run_id=run_id)], columns, as_json=as_json)


def _owner_ids(login: str | None) -> tuple[UUID, ...]:
    return () if login is None else (accounts.get_user_by_login(login=login).id,)
