"""Writes what was refused into the log: beside the requests, some at once, in a transaction of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from taskapi.core.db import db, transaction
from taskapi.core.events import record_event
from taskapi.core.refusals import Refusal, refusals_of_process

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
# What concerns no account in particular.
NOBODY = UUID(int=0)


def write_refusals() -> int:
    """Write what waits; how many. What cannot be written now waits on."""
    refusals = refusals_of_process().take()
    if not refusals:
        return 0
    try:
        with transaction():
            for refusal in refusals:
                _record(refusal)
    except SQLAlchemyError as error:
        refusals_of_process().give_back(refusals)
        log.warning("audit.refusals_wait", count=len(refusals), error=str(error).splitlines()[0])
        return 0
    finally:
        db.session.remove()
    return len(refusals)


def _record(refusal: Refusal) -> None:
    user_id = refusal.user_id or refusal.actor_id
    event = record_event(
        refusal.type,
        subject=("user", user_id) if user_id else ("request", NOBODY),
        actor=refusal.actor_id,
        owner_id=user_id,
        after={**refusal.told, "at": refusal.at.isoformat()},
    )
    # Of the request, which is over.
    event.address, event.context, event.request_id = refusal.address, refusal.context, refusal.request_id


@contextmanager
def refusals_written(app: Flask) -> Iterator[None]:
    """Have a thread write them for as long as this process answers requests, and what is left at its end.

    An application that remembers none needs no thread.
    """
    if "taskapi_refusals" not in app.extensions:
        yield
        return
    is_over = threading.Event()
    writer = threading.Thread(target=_write_on, args=(app, is_over), name="refusals", daemon=True)
    writer.start()
    try:
        yield
    finally:
        is_over.set()
        writer.join(PAUSE_SECONDS)


def _write_on(app: Flask, is_over: threading.Event) -> None:
    while True:
        is_last = is_over.wait(PAUSE_SECONDS)
        try:
            with app.app_context():
                write_refusals()
        except Exception:
            # Whatever it is, the next ones are to be written.
            log.exception("audit.refusals_failed")
        if is_last:
            return
