"""What the commands share: tables for people, JSON for scripts, one clear line for errors."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec

import click
from flask import current_app
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import DBAPIError

from taskapi.core.errors import DomainError

P = ParamSpec("P")
UNDEFINED_TABLE = "42P01"

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def print_rows(rows: Sequence[Any], columns: Sequence[str], *, as_json: bool) -> None:
    """Print the attributes of each row as a table, or as a JSON list."""
    if as_json:
        click.echo(current_app.json.dumps([{name: getattr(row, name) for name in columns} for row in rows]))
        return
    # Not on a terminal there is no width to fit into, and nothing may be cut off.
    console = Console(width=None if sys.stdout.isatty() else 500)
    table = Table(*columns, box=None if not sys.stdout.isatty() else Table().box)
    for row in rows:
        # As Text, for brackets in what people wrote are no markup.
        table.add_row(*(Text(_as_text(getattr(row, name))) for name in columns))
    console.print(table)


def _as_text(value: Any) -> str:
    if value is None:
        return "-"
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _explain(error: DBAPIError) -> str:
    # The driver's first line only: the statement and its values may hold secrets.
    reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    if "no such table" in reason or getattr(error.orig, "sqlstate", None) == UNDEFINED_TABLE:
        return f"the database is not up to date, run 'flask db upgrade': {reason}"
    return f"the database cannot do this: {reason}"


class Failure(click.ClickException):
    """One line on standard error, and an exit code."""

    def __init__(self, line: str, exit_code: int) -> None:
        super().__init__(line)
        self.exit_code = exit_code  # type: ignore[misc]


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

    return wrapper
