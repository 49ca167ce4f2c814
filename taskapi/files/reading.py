"""The content of a file, of which no block is given out before its hash was compared."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from taskapi.clients.storage.base import ObjectMissing, Reader, Storage
from taskapi.core.incoming import BLOCK_BYTES
from taskapi.files.errors import FileDamaged
from taskapi.files.models import CHANGED, MISSING, StoredFile
from taskapi.files.ranges import Part

HASH_BYTES = 32
DAMAGES = {
    MISSING: "The content is missing in the store.",
    CHANGED: "What is stored is not what was uploaded.",
}


class CheckedContent:
    """Iterates over a part of a file, a block at a time; ``close`` it on every path.

    The first block is read at once, so that what is damaged there is known before an answer begins.

    Args:
        file: with its blocks; it may be detached from the session.
        report: is told what is wrong, ``missing`` or ``changed``, before ``FileDamaged`` is raised.

    Raises:
        FileDamaged: also in the middle of the iteration, instead of the block that is damaged.
        StorageUnavailable: likewise.
    """

    def __init__(
        self, storage: Storage, file: StoredFile, part: Part, *, report: Callable[[str], None]
    ) -> None:
        self._file, self._part, self._report = file, part, report
        self._number = part.start // BLOCK_BYTES
        self._reader = self._open(storage)
        with ExitStack() as opened:
            opened.callback(self.close)
            self._next = self._read_block()
            # From now on whoever iterates closes it.
            opened.pop_all()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # The first is there already; another is read when it is asked for: one is kept at a time.
        block, self._next = self._next or self._read_block(), b""
        if not block:
            raise StopIteration
        return block

    def close(self) -> None:
        self._reader.close()

    def _open(self, storage: Storage) -> Reader:
        try:
            return storage.open(self._file.storage_key, start=self._number * BLOCK_BYTES)
        except ObjectMissing as error:
            raise self._damaged(MISSING) from error

    def _damaged(self, damage: str) -> FileDamaged:
        self._report(damage)
        return FileDamaged(DAMAGES[damage])

    def _read_block(self) -> bytes:
        """What is asked for of the next block; nothing after the last one."""
        start = self._number * BLOCK_BYTES
        if start >= self._part.end:
            self.close()
            return b""
        block = self._reader.read(min(BLOCK_BYTES, self._file.size - start))
        known = self._file.blocks[self._number * HASH_BYTES : (self._number + 1) * HASH_BYTES]
        if hashlib.sha256(block).digest() != known:
            raise self._damaged(CHANGED)
        self._number += 1
        return block[max(self._part.start - start, 0) : self._part.end - start]
