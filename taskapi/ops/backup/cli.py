"""``flask admin backup`` and ``flask admin restore``: everything in one file, and back."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click
from flask import current_app
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from taskapi.clients.storage import current_storage
from taskapi.core import clock
from taskapi.core.cli import Failure, as_json_option, fail_with_one_line
from taskapi.files import passes
from taskapi.ops.backup import restoring
from taskapi.ops.backup.errors import BackupError
from taskapi.ops.backup.making import STANDARD_OUTPUT, Tell, make_backup
from taskapi.ops.backup.restoring import Archive, check_archive, check_fits

P = ParamSpec("P")
AFTERWARDS = (
    "Start the service now. Due times since the backup follow the catch_up of their schedules; what ran and"
    " what was mailed since is done once more. Clients are told to fetch their lists anew. Objects of the"
    " former installation are removed by 'flask admin files sweep'."
)
OTHER_KEY = (
    "SECRET_KEY is another than the one of the backup: second factors, secrets of webhooks and tokens in it"
    " cannot be read. Set the former one, or add it to SECRET_KEY_FALLBACKS."
)


def _in_one_line(command: Callable[P, None]) -> Callable[P, None]:
    @fail_with_one_line
    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BackupError as error:
            raise Failure(str(error), 1) from error

    return wrapper


@click.command("backup")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@as_json_option
@_in_one_line
def backup(file: Path | None, as_json: bool) -> None:
    """Write the database and all files into one archive, while the service goes on.

    FILE is named after the time when left out; - is standard output. The archive has what the
    database has, password hashes among it, but not SECRET_KEY: keep both, apart from each other.
    """
    path = file or Path(f"taskapi-{clock.now():%Y%m%dT%H%M%SZ}.tar")
    if path == STANDARD_OUTPUT and sys.stdout.isatty():
        raise BackupError("an archive is nothing for a terminal: name a file")
    with _ending_in_order(), _bar("Backup") as tell:
        made = make_backup(path, storage=current_storage(), tell=tell)
    if as_json:
        click.echo(current_app.json.dumps(asdict(made)), err=path == STANDARD_OUTPUT)
        return
    line = "{path}: {rows} rows and {objects} files; {missing} missing, {damaged} damaged"
    click.echo(line.format(**asdict(made)), err=True)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--verify", is_flag=True, help="Only read the archive and check that all of it is whole.")
@click.option("--yes", is_flag=True, help="Replace what is there.")
@_in_one_line
def restore(file: Path, verify: bool, yes: bool) -> None:
    """Put the archive FILE in the place of this installation, which must be stopped."""
    with _bar("Verify") as tell:
        archive = check_archive(file, tell=tell)
    _describe(archive)
    if verify:
        return
    check_fits(archive)
    with restoring.service_stopped():
        _agree(yes)
        with _ending_in_order(), _bar("Restore") as tell:
            restoring.restore(archive, storage=current_storage(), tell=tell)
        _read_files_again(archive)
    click.echo(AFTERWARDS, err=True)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: what was begun is tidied up."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _describe(archive: Archive) -> None:
    header, manifest = archive.header, archive.manifest
    of = f"taskapi {header.version}, tables at {header.revision}, {header.database}, {header.created_at}"
    click.echo(f"{archive.path} is whole: {archive.rows} rows and {manifest.objects} files ({of})", err=True)
    for words, keys in (("missing", manifest.missing), ("damaged", manifest.damaged)):
        if keys:
            click.echo(f"{words} when it was made: {', '.join(keys[:5])}{' …' * (len(keys) > 5)}", err=True)
    if restoring.is_of_another_key(archive):
        click.echo(f"Warning: {OTHER_KEY}", err=True)


def _agree(yes: bool) -> None:
    """
    Raises:
        BackupError: there is something to lose, and nobody agreed.
    """
    there = ", ".join(f"{count} {name}" for name, count in restoring.rows_of_people().items())
    if there and not yes:
        raise BackupError(f"this installation has {there}: add --yes to replace all of it")
    if there:
        click.echo(f"Replacing {there}.", err=True)


def _read_files_again(archive: Archive) -> None:
    """Compare what the store has now with what was uploaded.

    Raises:
        BackupError: more is damaged than the archive said.
    """
    done = begun = passes.begin_pass()
    with _bar("Check") as tell:
        for done in passes.continue_pass(begun):
            tell(done.bytes, begun.remaining)
    known = len(archive.manifest.missing) + len(archive.manifest.damaged)
    if done.missing + done.changed > known:
        raise BackupError(f"{done.missing} files are missing and {done.changed} changed: restore it again")
    click.echo(f"Restored {archive.rows} rows and {done.files} files, and compared all of them.", err=True)


@contextmanager
def _bar(what: str) -> Iterator[Tell]:
    """How far it is, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
