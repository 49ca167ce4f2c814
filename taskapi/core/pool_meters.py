"""How much of the database's connections the threads of a process use at the moment."""

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from taskapi.core.meters import Gauge

IN_USE = Gauge("taskapi_database_connections_in_use", "Connections to the database that threads use")


def meter_pool(app: Flask, engine: sa.Engine) -> None:
    """Follow the engine's pool, if it has one that can run dry."""
    if not isinstance(engine.pool, QueuePool):
        return

    def took(_connection: object, _record: object, _proxy: object) -> None:
        IN_USE.set(app, _in_use(engine))

    def gave_back(_connection: object, _record: object) -> None:
        # It is still counted at this moment.
        IN_USE.set(app, max(0, _in_use(engine) - 1))

    event.listen(engine, "checkout", took)
    event.listen(engine, "checkin", gave_back)


def _in_use(engine: sa.Engine) -> int:
    # A pool that was disposed of has been replaced by another.
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()
