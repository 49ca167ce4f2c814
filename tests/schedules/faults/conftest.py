"""A world in which anything may go wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from pytest_httpserver import HTTPServer

from taskapi.core.db import db
from tests.conftest import empty
from tests.events.webhooks.making import Inbox
from tests.notifications.conftest import mail_server, running_mail_server
from tests.people import make_person
from tests.schedules.actions.conftest import receiver, running
from tests.schedules.faults.drivers import MAY_REFUSE, NEVER_REFUSES
from tests.schedules.faults.processes import at_pace, close_former_pools, forget_everything, leave_pool
from tests.schedules.faults.scenario import World
from tests.schedules.faults.wrappers import Outside
from tests.schedules.making import Time, at
from tests.schedules.probe import Probe
from tests.settings import settings_changed
from tests.smtp import MailServer

__all__ = ("mail_server", "receiver", "running", "running_mail_server")

Fresh = Callable[[], World]


@pytest.fixture
def fresh(
    app: Flask, time: Time, probe: Probe, receiver: HTTPServer, mail_server: MailServer
) -> Iterator[Fresh]:
    """Makes a world at nine o'clock in which nothing has happened as yet."""
    called, told = Inbox(receiver, "/called"), Inbox(receiver, "/told")
    with app.app_context():
        outside = Outside(db.engine)

    def make() -> World:
        time.now = at("2026-11-20 09:00")
        empty(app)
        with app.app_context():
            leave_pool(db.engine)
        forget_everything(app)
        close_former_pools()
        for kept in (called, told, mail_server, probe.calls):
            kept.clear()
        return World(
            app, time, outside, make_person(app, "olivia@example.org"), probe, called, told, mail_server
        )

    long_lived = settings_changed(app, access_token_minutes=1_440)
    with at_pace(time), without_fsync(app), refused_commits(app), long_lived:
        yield make
    forget_everything(app)
    close_former_pools()


@contextmanager
def without_fsync(app: Flask) -> Iterator[None]:
    """No test needs data that survives a power cut, as PostgreSQL's do not either."""

    def hurry(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    with app.app_context():
        engine = db.engine
        if engine.dialect.name != "sqlite":
            yield
            return
        sa.event.listen(engine, "connect", hurry)
        yield
        sa.event.remove(engine, "connect", hurry)
        leave_pool(engine)


@contextmanager
def refused_commits(app: Flask) -> Iterator[None]:
    """On PostgreSQL a commit may be refused, where a fault says so."""
    with app.app_context():
        url = db.engine.url
    if url.get_backend_name() == "sqlite":
        yield
        return
    server = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(MAY_REFUSE)
        yield
        connection.execute(NEVER_REFUSES)
