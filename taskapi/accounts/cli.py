"""`flask admin users`: accounts from the shell."""

import sys
from typing import Any

import click

from taskapi.accounts import administration, deletion, second_factor
from taskapi.accounts.administration import ManagedUser
from taskapi.accounts.completing import complete_login
from taskapi.core.cli import (
    as_json_option,
    ask_password,
    confirm,
    fail_with_one_line,
    print_rows,
    step_bar,
    yes_option,
)
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings

COLUMNS = ("id", "email", "username", "role", "is_active", "created_at")
DETAILS = (
    *(*COLUMNS, "full_name", "timezone", "email_verified", "last_sign_in_at"),
    *("tasks", "schedules", "files", "storage_bytes"),
)
FATE = ("thing", "outcome", "count", "bytes")

login_argument = click.argument("login", metavar="USER", shell_complete=complete_login)
password_stdin_option = click.option("--password-stdin", is_flag=True, help="Read it from standard input.")


@click.group("users", help="Accounts: list, show, make, change, delete. USER is an id, e-mail or username.")
def users() -> None:
    """Group of the commands below."""


@users.command("list")
@click.option("--role", multiple=True, type=click.Choice(["user", "admin"], case_sensitive=False))
@click.option("--inactive", is_flag=True, help="Only those that are switched off.")
@click.option("--closed", is_flag=True, help="Closed accounts instead of the others.")
@click.option("-q", "q", metavar="TEXT", help="Part of the e-mail address, username or full name.")
@as_json_option
@fail_with_one_line
def list_users(role: tuple[str, ...], inactive: bool, closed: bool, q: str | None, as_json: bool) -> None:
    """List accounts, oldest first."""
    is_active = False if inactive else None
    found = administration.all_users(role=role, is_active=is_active, closed=closed, q=q)
    print_rows(found, COLUMNS, as_json=as_json)


@users.command("show")
@login_argument
@as_json_option
@fail_with_one_line
def show_user(login: str, as_json: bool) -> None:
    """Show an account, and how much its owner has."""
    print_rows([administration.find_user(login=login)], DETAILS, as_json=as_json)


@users.command("create")
@click.argument("email")
@click.option("--username", help="Made from the e-mail address when left out.")
@click.option("--full-name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--password", help="Asked for when left out; best not typed into the shell's history.")
@password_stdin_option
@click.option("--invite", is_flag=True, help="No password: mail the owner a link to choose one.")
@as_json_option
@fail_with_one_line
def create_user(
    password: str | None, password_stdin: bool, invite: bool, admin: bool, as_json: bool, **profile: Any
) -> None:
    """Create an account for EMAIL."""
    if not invite:
        password = password or _read_password(password_stdin)
    hashed = administration.hash_first_password(settings=runtime_settings(), password=password, **profile)
    role = "admin" if admin else "user"
    with transaction():
        user = administration.create_user(actor=None, password_hash=hashed, role=role, **profile)
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("promote")
@login_argument
@as_json_option
@fail_with_one_line
def promote_user(login: str, as_json: bool) -> None:
    """Make a user an administrator."""
    print_rows([_change(login, role="admin")], COLUMNS, as_json=as_json)


@users.command("demote")
@login_argument
@as_json_option
@fail_with_one_line
def demote_user(login: str, as_json: bool) -> None:
    """Make an administrator a user; they are signed out everywhere."""
    print_rows([_change(login, role="user")], COLUMNS, as_json=as_json)


@users.command("activate")
@login_argument
@as_json_option
@fail_with_one_line
def activate_user(login: str, as_json: bool) -> None:
    """Let a user in again; their schedules go on."""
    print_rows([_change(login, is_active=True)], COLUMNS, as_json=as_json)


@users.command("deactivate")
@login_argument
@as_json_option
@fail_with_one_line
def deactivate_user(login: str, as_json: bool) -> None:
    """Keep a user out: they are signed out everywhere, and their schedules are held."""
    print_rows([_change(login, is_active=False)], COLUMNS, as_json=as_json)


@users.command("set-password")
@login_argument
@password_stdin_option
@as_json_option
@fail_with_one_line
def set_password(login: str, password_stdin: bool, as_json: bool) -> None:
    """Give a user another password; they are signed out everywhere, and told by mail."""
    user_id = administration.find_user(login=login).user.id
    hashed = administration.hash_password_for(
        settings=runtime_settings(), login=login, password=_read_password(password_stdin)
    )
    with transaction():
        user = administration.set_password(actor=None, user_id=user_id, password_hash=hashed)
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("reset-second-factor")
@login_argument
@as_json_option
@fail_with_one_line
def reset_second_factor(login: str, as_json: bool) -> None:
    """Let a user who lost their authenticator app sign in by password alone."""
    with transaction():
        user = administration.find_user(login=login)
        second_factor.remove_factor(user_id=user.user.id)
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("delete")
@login_argument
@click.option("--reassign-to", metavar="USER", shell_complete=complete_login, help="Who gets their things.")
@yes_option
@as_json_option
@fail_with_one_line
def delete_user(login: str, reassign_to: str | None, yes: bool, as_json: bool) -> None:
    """Close an account for good; says before what becomes of tasks, files and schedules."""
    user = administration.find_user(login=login)
    if not yes:
        foreseen = deletion.foresee_deletion(user_id=user.user.id, reassign_to=reassign_to)
        click.echo(f"What becomes of the things of {user.username}:", err=True)
        print_rows(foreseen.things, FATE, as_json=False, err=True)
    confirm(f"Delete {user.username} <{user.email}> for good?", yes=yes)
    with step_bar() as on_step, transaction():
        deleted = deletion.delete_user(
            actor=None, user_id=user.user.id, reassign_to=reassign_to, on_step=on_step
        )
    print_rows(deleted.things, FATE, as_json=as_json)


def _read_password(from_stdin: bool) -> str:
    if not from_stdin:
        return ask_password()
    # Without the end of the line, which is none of it.
    return sys.stdin.readline().rstrip("\r\n")


def _change(login: str, **changes: Any) -> ManagedUser:
    with transaction():
        user_id = administration.find_user(login=login).user.id
        return administration.update_user(actor=None, user_id=user_id, changes=changes)
