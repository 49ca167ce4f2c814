"""What the commands share: tables for people, JSON for scripts, one clear line for errors."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec

import click
from flask import current_app
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from taskapi.core.errors import DomainError
from taskapi.core.runtime import runtime_settings

P = ParamSpec("P")
UNDEFINED_TABLE = "42P01"

yes_option = click.option("--yes", is_flag=True, help="Without a question.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


class Failure(click.ClickException):
    """One line on standard error, and an exit code."""

    def __init__(self, line: str, exit_code: int) -> None:
        super().__init__(line)
        self.exit_code = exit_code  # type: ignore[misc]


def print_rows(rows: Sequence[Any], columns: Sequence[str], *, as_json: bool, err: bool = False) -> None:
    """Print the attributes of each row as a table, or as a JSON list.

    Args:
        err: on standard error, where it is not the answer.
    """
    if as_json:
        click.echo(current_app.json.dumps([{name: getattr(row, name) for name in columns} for row in rows]))
        return
    # Not on a terminal there is no width to fit into, and nothing may be cut off.
    is_seen = (sys.stderr if err else sys.stdout).isatty()
    console = Console(width=None if is_seen else 500, stderr=err)
    table = Table(*columns, box=None if not is_seen else Table().box)
    for row in rows:
        # As Text, for brackets in what people wrote are no markup.
        table.add_row(*(Text(_as_text(getattr(row, name))) for name in columns))
    console.print(table)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is done, unless ``yes`` says it; who cannot be asked is refused.

    Raises:
        Failure: nobody is there to answer.
        Abort: the answer is no.
    """
    if yes:
        return
    if not is_terminal():
        raise Failure(f"{question} Nobody is there to be asked: say --yes.", 1)
    click.confirm(question, abort=True, err=True)


def ask_password() -> str:
    """A new password, typed twice without being shown.

    Raises:
        Failure: nobody is there to type it.
    """
    if not is_terminal():
        raise Failure("Nobody is there to type a password: send it with --password-stdin.", 1)
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


@contextmanager
def step_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar, where somebody looks on; it is told what is begun, how many were before, and of how many."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    hidden = not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bar:
        shown = bar.add_task("", total=None)
        yield lambda name, number, of: bar.update(shown, description=name, completed=number, total=of)


def is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty()


def _as_text(value: Any) -> str:
    if value is None:
        return "-"
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _explain(error: DBAPIError) -> str:
    # The driver's first line only: the statement and its values may hold secrets.
    reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    if "no such table" in reason or getattr(error.orig, "sqlstate", None) == UNDEFINED_TABLE:
        settings = runtime_settings()
        # Called elsewhere, it looks for data there.
        where = f" {make_url(settings.database_url).database}" if settings.uses_sqlite else ""
        return f"the database{where} is not up to date, run 'flask db upgrade': {reason}"
    return f"the database cannot do this: {reason}"


def fail_with_one_line(command: Callable[P, None], *, exit_code: int = 1) -> Callable[P, None]:
    """Turn an expected error into one line on standard error and an exit code."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except DomainError as error:
            raise Failure(error.detail, exit_code) from error
        except DBAPIError as error:
            raise Failure(_explain(error), exit_code) from error
        except UnicodeEncodeError as error:
            # Python keeps such bytes of the command line as lone surrogates, which no database takes.
            if not isinstance(error.object, str) or not error.object[error.start] >= "\ud800":
                raise
            raise Failure("What was typed is not UTF-8.", exit_code) from error

    return wrapper
