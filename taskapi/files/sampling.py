"""A look at some files every now and then, so that damage is found before somebody needs the file."""

import time

import sqlalchemy as sa
import structlog

from taskapi.clients.storage.base import StorageFull, StorageUnavailable
from taskapi.core.db import database_now, read_database_clock, session, transaction
from taskapi.files.integrity import Recorded, note_checks, read_content
from taskapi.files.models import SAMPLED_AT_MOST_EVERY, StoredFile

log = structlog.get_logger(__name__)

# Bound one round, which occupies a worker: the rest comes with the next.
MAX_FILES = 50
MAX_BYTES = 200 * 1_048_576
MAX_SECONDS = 30.0


def sample_files() -> int:
    """Read the files that nobody checked for longest, and note what was found; how many were read."""
    files = read = 0
    stop_at = time.monotonic() + MAX_SECONDS
    while files < MAX_FILES and read < MAX_BYTES and time.monotonic() < stop_at:
        file = _take_next()
        if file is None:
            break
        try:
            verdict = read_content(file)
        except (StorageFull, StorageUnavailable) as error:
            log.warning("files.sample_put_off", reason=error.detail)
            break
        with transaction():
            note_checks({file.id: verdict.damage})
        files, read = files + 1, read + file.size
    return files


def _take_next() -> Recorded | None:
    """The next file, if one is due; others pass it over from now on.

    Its turn is over before it is read: a file on which a worker dies must not come first for ever.
    """
    due = sa.select(StoredFile).where(StoredFile.next_check_at <= database_now())
    first = due.order_by(StoredFile.next_check_at, StoredFile.id).limit(1).with_for_update(skip_locked=True)
    with transaction():
        file = session().scalar(first.execution_options(populate_existing=True))
        if file is None:
            return None
        file.next_check_at = read_database_clock() + SAMPLED_AT_MOST_EVERY
        return Recorded.of(file)
