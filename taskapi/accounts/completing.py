"""What the shell offers while somebody types whom they mean."""

import click
from flask.cli import ScriptInfo
from sqlalchemy.exc import DBAPIError

from taskapi.accounts import administration

MOST = 50


def complete_login(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Usernames that begin with what was typed; none while the database does not answer."""
    app = context.ensure_object(ScriptInfo).load_app()
    with app.app_context():
        try:
            return administration.complete_username(text=incomplete, limit=MOST)
        except DBAPIError:
            return []
