"""`flask admin users`: accounts from the shell."""

import click

from taskapi.accounts import second_factor, service
from taskapi.core.cli import as_json_option, fail_with_one_line, print_rows
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings

COLUMNS = ("id", "email", "username", "role", "is_active", "created_at")


@click.group("users", help="Accounts: create, list, promote, reset a second factor.")
def users() -> None:
    """Group of the commands below."""


@users.command("create")
@click.argument("email")
@click.option("--username", help="Made from the e-mail address when left out.")
@click.option("--full-name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--password", help="Asked for when left out; best not typed into the shell's history.")
@as_json_option
@fail_with_one_line
def create_user(
    email: str, username: str | None, full_name: str | None, admin: bool, password: str | None, as_json: bool
) -> None:
    """Create an account for EMAIL."""
    password = password or click.prompt("Password", hide_input=True, confirmation_prompt=True)
    password_hash = service.hash_new_password(
        settings=runtime_settings(), password=password, email=email, username=username, full_name=full_name
    )
    with transaction():
        user = service.create_user(
            email=email,
            username=username,
            full_name=full_name,
            password_hash=password_hash,
            role="admin" if admin else "user",
        )
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("promote")
@click.argument("login", metavar="EMAIL_OR_USERNAME")
@as_json_option
@fail_with_one_line
def promote_user(login: str, as_json: bool) -> None:
    """Make a user an administrator."""
    with transaction():
        user = service.set_role(login=login, role="admin")
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("reset-second-factor")
@click.argument("login", metavar="EMAIL_OR_USERNAME")
@as_json_option
@fail_with_one_line
def reset_second_factor(login: str, as_json: bool) -> None:
    """Let a user who lost their authenticator app sign in by password alone."""
    with transaction():
        user = service.get_user_by_login(login=login)
        second_factor.remove_factor(user_id=user.id)
    print_rows([user], COLUMNS, as_json=as_json)


@users.command("list")
@click.option("--role", type=click.Choice(["user", "admin"], case_sensitive=False))
@as_json_option
@fail_with_one_line
def list_users(role: str | None, as_json: bool) -> None:
    """List accounts, oldest first."""
    print_rows(service.list_users(role=role), COLUMNS, as_json=as_json)
