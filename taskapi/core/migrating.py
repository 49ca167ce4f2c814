"""Flask-Migrate, for who migrates: it brings Alembic along, which takes longer to load than Flask."""

from typing import Any

import click
from flask import Flask

from taskapi.core.db import db
from taskapi.core.migrations import MIGRATIONS_DIR


class MigrateLater:
    """Takes the place of Flask-Migrate's own facts until one of them is asked for."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        from flask_migrate import Migrate

        Migrate(self._app, db, directory=str(MIGRATIONS_DIR), compare_type=True, render_as_batch=True)
        return getattr(self._app.extensions["migrate"], name)


class MigrationCommands(click.Command):
    """Stands for Flask-Migrate's group of commands until one of them is called."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        from flask_migrate.cli import db as commands

        # A context brings the command along that is run in it.
        context: click.Context = commands.make_context(*args, **kwargs)
        return context


def install_migrations(app: Flask) -> None:
    """Give the application ``flask db``, which knows the models and where the migrations are."""
    app.extensions["migrate"] = MigrateLater(app)
    app.cli.add_command(MigrationCommands("db", help="Perform database migrations."))
