"""Receives what is attached to tasks, before a transaction is open."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import request

from taskapi.core.access import current_actor
from taskapi.core.db import session
from taskapi.files.receiving import Parts, several_from_form
from taskapi.tasks import editing, service


@contextmanager
def attachments_from_form() -> Iterator[Parts]:
    """The files of a form; nothing is read for a task that the caller may not change."""
    actor = current_actor()
    task = service.find_task(actor=actor, task_id=(request.view_args or {})["task_id"])
    editing.check_may_change(actor, task)
    # A slow client must not hold the connection while its content arrives.
    session().rollback()
    with several_from_form() as parts:
        yield parts
