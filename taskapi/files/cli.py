"""`flask admin files`: the files of everybody, and the store they lie in, from the shell."""

import sys
from dataclasses import fields
from functools import partial
from uuid import UUID

import click
from flask import current_app
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from taskapi.accounts import service as accounts
from taskapi.accounts.completing import complete_login
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.cli import as_json_option, confirm, fail_with_one_line, print_rows, yes_option
from taskapi.files import listing, passes, sweeping
from taskapi.files.passes import PassProgress

SWEPT = tuple(field.name for field in fields(sweeping.Sweep))
COLUMNS = ("id", "owner", "filename", "content_type", "size", "sha256", "damage", "created_at")
DAMAGED_COLUMNS = ("id", "owner", "filename", "damage")
# Exit codes of a check beside 0: what a script must tell apart. 130 is what shells give for Ctrl-C.
DAMAGE_FOUND, NOT_CHECKED, INTERRUPTED = 1, 2, 130
GO_ON = "Go on with 'flask admin files verify --resume'."

owner_option = click.option(
    "--owner", metavar="USER", shell_complete=complete_login, help="Only the files of this user."
)


@click.group("files", help="Files: list, verify their contents, sweep the store.")
def files() -> None:
    """Group of the commands below."""


@files.command("sweep")
@click.option("--dry-run", is_flag=True, help="Only report.")
@yes_option
@as_json_option
@fail_with_one_line
def sweep_files(dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove objects of no file, mark files without an object, correct what is counted.

    Exits with 1 if files are without their object.
    """
    storage = current_storage()
    if dry_run or not yes:
        found = sweeping.sweep(storage=storage, remove=False)
    if not (dry_run or yes) and found.orphans:
        question = f"Remove {found.orphans} objects of no file ({found.orphan_bytes} bytes)?"
        confirm(question, yes=False)
    if not dry_run:
        found = sweeping.sweep(storage=storage, remove=True)
    print_rows([found], SWEPT, as_json=as_json)
    if found.missing:
        raise SystemExit(1)


@files.command("list")
@owner_option
@click.option("--damaged", is_flag=True, help="Only those known to be changed or missing.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many; all when left out.")
@as_json_option
@fail_with_one_line
def list_files(owner: str | None, damaged: bool, limit: int | None, as_json: bool) -> None:
    """List files, newest first."""
    found = listing.list_files(owner_id=_id_of(owner), damaged=damaged, limit=limit)
    print_rows(found, COLUMNS, as_json=as_json)


@files.command("verify")
@click.option("--resume", is_flag=True, help="Go on with the check that was interrupted last.")
@owner_option
@as_json_option
@partial(fail_with_one_line, exit_code=NOT_CHECKED)
def verify_files(resume: bool, owner: str | None, as_json: bool) -> None:
    """Read all files and compare them with what was uploaded.

    Ends with 0 when all are as they were, with 1 when any is damaged, and with 2 when they could
    not be checked.
    """
    begin = passes.resume_pass if resume else passes.begin_pass
    try:
        done = _check(begin(owner_id=_id_of(owner)))
    except KeyboardInterrupt:
        click.echo(f"Interrupted. {GO_ON}", err=True)
        raise SystemExit(INTERRUPTED) from None
    except StorageUnavailable as error:
        raise StorageUnavailable(f"{error.detail.rstrip('.')}. {GO_ON}") from error
    _report(done, as_json=as_json)
    if done.changed or done.missing:
        raise SystemExit(DAMAGE_FOUND)


def _id_of(login: str | None) -> UUID | None:
    return None if login is None else accounts.get_user_by_login(login=login).id


def _check(begun: PassProgress) -> PassProgress:
    """Go through the files; on a terminal a bar tells how far it is."""
    progress = begun
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        shown = bar.add_task("", total=begun.bytes + begun.remaining, completed=begun.bytes)
        for progress in passes.continue_pass(begun):
            bar.update(shown, completed=progress.bytes, description=f"{progress.files} files")
    return progress


def _report(done: PassProgress, *, as_json: bool) -> None:
    damaged = listing.list_files(owner_id=done.owner_id, damaged=True)
    counts = {name: getattr(done, name) for name in ("files", "bytes", "changed", "missing")}
    if as_json:
        rows = [{name: getattr(file, name) for name in DAMAGED_COLUMNS} for file in damaged]
        click.echo(current_app.json.dumps({**counts, "damaged": rows}))
        return
    if damaged:
        print_rows(damaged, DAMAGED_COLUMNS, as_json=False)
    click.echo("{files} files, {bytes} bytes: {changed} changed, {missing} missing.".format(**counts))
