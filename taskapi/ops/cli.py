"""The commands that run processes, and the one that looks after them: ``flask healthcheck``."""

from typing import Literal

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from taskapi.config import Settings, load_settings
from taskapi.environment import ConfigError


@click.command("up")
def up_command() -> None:
    """Run everything on this machine: migrations, web, worker and scheduler."""
    from taskapi.ops.up import run_up

    try:
        settings = load_settings()
    except ConfigError as error:
        click.echo(f"taskapi: {error}", err=True)
        raise SystemExit(1) from None
    raise SystemExit(run_up(settings))


@click.command("healthcheck")
@click.argument("kind", type=click.Choice(["web", "worker", "scheduler"]))
def healthcheck_command(kind: str) -> None:
    """Tell whether a process of this kind lives on this machine: exit code 0, else 1 and the reason."""
    from taskapi.ops.healthcheck import what_is_wrong

    try:
        wrong = what_is_wrong(kind, load_settings())
    except ConfigError as error:
        wrong = str(error)
    if wrong:
        click.echo(f"taskapi: {wrong}", err=True)
        raise SystemExit(1)
    click.echo(f"{kind} is well")


@click.command("worker")
@click.option("--burst", is_flag=True, help="Stop when nothing is left to do.")
@click.option(
    "--threads",
    type=click.IntRange(1, 100),
    help="How many mails, webhooks and calls to do at a time, beside other work; without it WORKER_THREADS.",
)
@with_appcontext
def worker_command(burst: bool, threads: int | None) -> None:
    """Do queued work until told to stop."""
    from taskapi.background.worker import run_worker

    app, settings = _begin_process("worker")
    run_worker(app, settings, burst=burst, threads=threads or settings.worker_threads)


@click.command("scheduler")
@with_appcontext
def scheduler_command() -> None:
    """Turn due times into work until told to stop; run as many as you like."""
    from taskapi.ops.scheduling import run_scheduler

    app, settings = _begin_process("scheduler")
    run_scheduler(app, settings)


def _begin_process(kind: Literal["worker", "scheduler"]) -> tuple[Flask, Settings]:
    # `flask up` is found in this module too, and starts faster without all of these.
    from taskapi.core.cli import fail_with_one_line
    from taskapi.core.db import db
    from taskapi.core.engine import prepare_repeated, wait_for_database
    from taskapi.core.logging import configure_logging
    from taskapi.core.origin import set_via
    from taskapi.core.runtime import runtime_settings
    from taskapi.ops.metrics_port import begin_counting

    settings = runtime_settings()
    configure_logging(settings, process=kind)
    set_via(kind)
    prepare_repeated(db.engine)
    fail_with_one_line(wait_for_database)(db.engine, timeout=settings.db_connect_timeout)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    begin_counting(app, settings, kind)
    return app, settings
