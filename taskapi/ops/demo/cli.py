"""`flask admin demo`: something to look at, or very much to measure with."""

import secrets
import sys
from collections.abc import Iterator

import click

from taskapi.accounts import passwords
from taskapi.core.cli import as_json_option, fail_with_one_line, print_rows
from taskapi.core.runtime import runtime_settings
from taskapi.ops.demo.crowd import make_crowd
from taskapi.ops.demo.team import make_team

COLUMNS = ("username", "full_name", "email", "role", "timezone")


@click.command("demo")
@click.option("--tasks", type=click.IntRange(1, 100_000_000), help="Make a crowd with so many tasks instead.")
@click.option("--people", type=click.IntRange(1, 1_000_000), default=1_000, help="How many the crowd has.")
@click.option("--seed", type=int, default=1, help="The same seed makes the same crowd.")
@click.option("--yes", is_flag=True, help="Do not ask, also in production.")
@as_json_option
@fail_with_one_line
def demo(tasks: int | None, people: int, seed: int, yes: bool, as_json: bool) -> None:
    """Make a small team in the middle of its work; its accounts share a new password."""
    if runtime_settings().environment == "production" and not yes:
        click.confirm("Make up people and tasks in this installation?", abort=True)
    password = secrets.token_urlsafe(12)
    password_hash = passwords.hash_password(password)
    if tasks is not None:
        crowd = make_crowd(people=people, tasks=tasks, seed=seed, password_hash=password_hash)
        _show_progress(crowd, tasks)
        return
    team = make_team(password_hash=password_hash)
    print_rows(team, COLUMNS, as_json=as_json)
    click.echo(f"All of them sign in with the password {password}", err=True)


def _show_progress(numbers: Iterator[int], tasks: int) -> None:
    """A bar on standard error, which stays quiet unless it is a terminal."""
    done = 0
    with click.progressbar(length=tasks, label="Tasks", file=sys.stderr) as bar:
        for number in numbers:
            bar.update(number - done)
            done = number
