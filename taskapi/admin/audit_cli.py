"""`flask admin audit`: what happened, whether the log is whole, and the log as JSON lines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from flask import current_app
from marshmallow import ValidationError
from rich.console import Console
from rich.progress import Progress

from taskapi.admin import audit
from taskapi.admin.audit_schemas import AuditFilters
from taskapi.core.access import Actor, acting_as
from taskapi.core.cli import as_json_option, fail_with_one_line, print_rows
from taskapi.core.db import transaction
from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import flatten_messages
from taskapi.events.audit import verification
from taskapi.events.audit.verification import Verification

COLUMNS = ("created_at", "type", "who", "what", "address", "via", "request_id", "position")
DETAILS = (*COLUMNS, "id", "actor", "subject", "owner_id", "before", "after", "context", "hash")
FAULT_COLUMNS = ("kind", "position", "until", "detail")
BROKEN, NOT_CHECKED = 1, 2
# By dates, a day in UTC is meant: nobody knows where the operator is.
OPERATOR = Actor(user_id=audit.NOBODY, role="admin", username="operator")


class _ListsByDefault(click.Group):
    """``flask admin audit --type …`` is ``flask admin audit list --type …``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        # Completion asks for what may come next.
        is_whole = is_named or ctx.resilient_parsing
        return super().parse_args(ctx, args if is_whole else ["list", *args])


class Head(click.ParamType[tuple[int, str]]):
    """A position of the chain and its hash."""

    name = "POSITION:HASH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, str]:
        position, _, digest = str(value).strip().partition(":")
        if not position.isdecimal() or len(digest) != 64:
            self.fail("not a head: give what an earlier 'verify' has printed.", param, ctx)
        return int(position), digest.lower()


def takes_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters of the API, by the same names."""
    for decorate in (
        click.option("--type", multiple=True, metavar="PATTERN", help="Such as 'task.*'; repeatable."),
        click.option("--actor", metavar="USER", help="Id, e-mail address or username; 'system' for nobody."),
        click.option("--subject-type", metavar="KIND", help="Such as 'task'."),
        click.option("--subject-id", metavar="ID"),
        click.option("--address", metavar="IP"),
        click.option("--request-id", metavar="ID", help="Of a request, or of a run."),
        click.option("--created-after", metavar="TIME", help="RFC 3339, or a date."),
        click.option("--created-before", metavar="TIME", help="RFC 3339, or a date, which is included."),
    ):
        command = decorate(command)
    return command


@click.group("audit", cls=_ListsByDefault, help="The audit log: list, verify, export.")
def audit_group() -> None:
    """Group of the commands below."""


@audit_group.command("list")
@takes_filters
@click.option("--limit", type=click.IntRange(min=1, max=100_000), default=50, show_default=True)
@as_json_option
@fail_with_one_line
def list_audit(limit: int, as_json: bool, **filters: Any) -> None:
    """List what happened and what was refused, the newest first."""
    found = audit.newest_audit(limit=limit, **_read(filters))
    print_rows(found, DETAILS if as_json else COLUMNS, as_json=as_json)


@audit_group.command("verify")
@click.option("--head", "heads", multiple=True, type=Head(), help="What an earlier 'verify' has printed.")
@as_json_option
@partial(fail_with_one_line, exit_code=NOT_CHECKED)
def verify_audit(heads: tuple[tuple[int, str], ...], as_json: bool) -> None:
    """Look for altered, removed and wrongly erased events; exits with 1 if there are any."""
    with _progress("Verifying", verification.chain_length()) as advance:
        found = verification.verify_chain(heads=heads, advance=advance)
    (_print_json if as_json else _print_words)(found)
    if not found.ok:
        raise click.exceptions.Exit(BROKEN)


@audit_group.command("export")
@takes_filters
@click.option("--output", metavar="FILE", default="-", help="Instead of standard output.")
@fail_with_one_line
def export_audit(output: str, **filters: Any) -> None:
    """Write the log as JSON lines with hashes, by which any program can verify it."""
    with transaction():
        lines = audit.export_audit(by=None, **_read(filters))
    try:
        # A file appears under its name when it is whole.
        with click.open_file(output, "wb", atomic=output != "-") as file:
            for piece in lines:
                file.write(piece)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error


def _read(filters: dict[str, Any]) -> dict[str, Any]:
    """
    Raises:
        ValidationFailed
    """
    given = {name: value for name, value in filters.items() if value}
    try:
        with acting_as(OPERATOR):
            read: dict[str, Any] = AuditFilters().load(given)
    except ValidationError as error:
        raise ValidationFailed(flatten_messages(error.messages)) from None
    return read


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], object]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def _print_json(found: Verification) -> None:
    names = ("ok", "checked", "erased", "before", "waiting", "head", "fault_count")
    faults = [{name: getattr(fault, name) for name in FAULT_COLUMNS} for fault in found.faults]
    shown = {**{name: getattr(found, name) for name in names}, "faults": faults}
    click.echo(current_app.json.dumps(shown))


def _print_words(found: Verification) -> None:
    click.echo(f"{found.checked} events verified, {found.erased} of them erased with a reason.")
    if found.before:
        click.echo(
            f"{found.before} older events happened before the chain began, which says nothing of them."
        )
    if found.head:
        click.echo(f"Head: {found.head}")
    if found.ok:
        click.echo("The chain is whole.")
        return
    click.echo(f"The chain is broken: {found.fault_count} faults.", err=True)
    print_rows(found.faults, FAULT_COLUMNS, as_json=False)
