"""What the store and the database do not agree about: removals that are due, and objects nobody knows.

The pass over all goes in batches, both sides in the order of the keys, so that its memory does
not grow with the store.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from uuid import UUID

import sqlalchemy as sa
import structlog

from taskapi.clients.storage.base import (
    ObjectMissing,
    Storage,
    StorageFull,
    StorageUnavailable,
    StoredObject,
)
from taskapi.clients.storage.local import remove_stale
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.files import usage
from taskapi.files.integrity import report_damage
from taskapi.files.models import MISSING, DiscardedObject, StoredFile
from taskapi.files.objects import discard_objects, due_keys, remove_object

log = structlog.get_logger(__name__)

# Bounds one round, which occupies a worker; the rest comes with the next.
ROUND_OBJECTS, ROUND_SECONDS = 1000, 40.0
BATCH = 500
# Keys sort before and after all keys of objects, which are of hexadecimal digits.
FIRST_KEY, LAST_KEY = "", "g"
# What came later may not be known yet to the database, or its clock may be behind the store's.
YOUNG = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Sweep:
    """What a pass over all found.

    Attributes:
        orphans: objects that belong to no file; ``orphan_bytes`` are their sizes together.
        missing: files without an object.
        stale_uploads: what dead processes left behind of uploads.
        wrong_counts: users whose use of the store was counted wrong.
        removed: objects that are gone now; the others are removed later.
    """

    objects: int = 0
    files: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    missing: int = 0
    stale_uploads: int = 0
    wrong_counts: int = 0
    removed: int = 0


def remove_due(*, storage: Storage) -> int:
    """Remove objects that are due, and what dead uploads left; how many objects are gone.

    Raises nothing when the store is away: each object gets its next turn after a pause.
    """
    removed, stop_at = 0, time.monotonic() + ROUND_SECONDS
    for key in due_keys(limit=ROUND_OBJECTS):
        if time.monotonic() > stop_at:
            break
        removed += remove_object(key=key, storage=storage)
    try:
        remove_stale(storage.incoming)
    except (StorageFull, StorageUnavailable) as error:
        log.warning("files.sweep_put_off", reason=error.detail)
    return removed


def sweep(*, storage: Storage, remove: bool) -> Sweep:
    """Compare all objects with all files.

    Args:
        remove: whether to remove objects that belong to no file and leftovers of uploads, mark
            files without an object, and correct counts; else nothing is changed.

    Raises:
        StorageUnavailable
    """
    found = Sweep()
    incoming, after = storage.incoming, FIRST_KEY
    for batch in _batches(storage.walk()):
        _look_for_orphans(batch, storage, found, remove=remove)
        # The objects of a batch are all that there are between two keys.
        _look_for_files(after, batch[-1].key, {item.key for item in batch}, storage, found, remove=remove)
        after = batch[-1].key
    _look_for_files(after, LAST_KEY, set(), storage, found, remove=remove)
    if remove:
        found.stale_uploads = remove_stale(incoming)
        found.wrong_counts = usage.recount()
    return found


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while batch := list(islice(objects, BATCH)):
        yield batch


def _look_for_orphans(batch: list[StoredObject], storage: Storage, found: Sweep, *, remove: bool) -> None:
    found.objects += len(batch)
    old = {item.key: item.size for item in batch if clock.now() - item.modified_at > YOUNG}
    orphans = old.keys() - _known(old)
    found.orphans += len(orphans)
    found.orphan_bytes += sum(old[key] for key in orphans)
    if remove and orphans:
        with transaction():
            # Written down first: what the store refuses now is removed later.
            discard_objects(orphans)
        found.removed += sum(remove_object(key=key, storage=storage) for key in sorted(orphans))


def _known(keys: Iterable[str]) -> set[str]:
    """Those of the keys that belong to a file or wait for their removal."""
    wanted = list(keys)
    # One statement: between two, a key could pass from one table into the other unseen.
    both = sa.union_all(
        sa.select(StoredFile.storage_key).where(StoredFile.storage_key.in_(wanted)),
        sa.select(DiscardedObject.storage_key).where(DiscardedObject.storage_key.in_(wanted)),
    )
    known = set(session().execute(both).scalars())
    session().rollback()
    return known


def _look_for_files(
    after: str, last: str, present: set[str], storage: Storage, found: Sweep, *, remove: bool
) -> None:
    """Compare the files whose keys lie after ``after`` and up to ``last`` with the objects there."""
    while files := _files_between(after, last):
        found.files += len(files)
        for file_id, key in files:
            # The list may be older than the file: the store is asked once more, and then whether
            # the file was deleted meanwhile.
            if key not in present and _is_missing(key, storage) and _is_file(file_id):
                found.missing += 1
                if remove:
                    report_damage(file_id=file_id, damage=MISSING)
        after = files[-1][1]


def _files_between(after: str, last: str) -> Sequence[tuple[UUID, str]]:
    key = StoredFile.storage_key
    statement = sa.select(StoredFile.id, key).where(key > after, key <= last).order_by(key).limit(BATCH)
    rows = [(row.id, row.storage_key) for row in session().execute(statement)]
    session().rollback()
    return rows


def _is_file(file_id: UUID) -> bool:
    found = session().scalar(sa.select(sa.exists().where(StoredFile.id == file_id)))
    session().rollback()
    return bool(found)


def _is_missing(key: str, storage: Storage) -> bool:
    try:
        storage.open(key).close()
    except ObjectMissing:
        return True
    return False
