"""Files on this machine: where contents are gathered, and what an error of the disk means."""

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from taskapi.clients.storage.base import StorageFull, StorageUnavailable

log = structlog.get_logger(__name__)

# The disk is full, the user's share of it is, or the file is larger than it holds.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Longer than any upload takes: what is older was left by a process that died.
STALE_SECONDS = 86_400.0


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tell an error of the disk to the log with its path, and to the client without.

    Raises:
        StorageFull, StorageUnavailable
    """
    try:
        yield
    except OSError as error:
        log.error("storage.disk_failed", error=str(error))
        raise (StorageFull if error.errno in NO_ROOM else StorageUnavailable) from error


class Incoming:
    """The directory where contents are gathered; private, and made on first use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prepared_by: int | None = None

    def path(self) -> Path:
        """
        Raises:
            StorageFull, StorageUnavailable: it cannot be made or read.
        """
        with disk_errors():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Once in each process: with a bucket this directory is the machine's own, where no sweep
        # of another machine comes by.
        if self._prepared_by != os.getpid():
            self._prepared_by = os.getpid()
            remove_stale(self._directory)
        return self._directory


# A directory of this name, for what is made of several files; others are not ours.
WORKSHOP_PREFIX = "export-"


def remove_stale(directory: Path, *, older_than: float = STALE_SECONDS) -> int:
    """Remove what dead processes left behind; how many files and directories.

    Raises:
        StorageUnavailable
    """
    removed = 0
    with disk_errors(), os.scandir(directory) as entries:
        for entry in entries:
            # Files have the times of this machine's clock, so they are compared with it. Its owner
            # or another sweep may have removed the file meanwhile.
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if time.time() - status.st_mtime <= older_than:
                    continue
                if stat.S_ISREG(status.st_mode):
                    os.unlink(entry.path)
                    removed += 1
                elif stat.S_ISDIR(status.st_mode) and entry.name.startswith(WORKSHOP_PREFIX):
                    shutil.rmtree(entry.path)
                    removed += 1
    return removed
