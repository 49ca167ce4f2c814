"""Where each process counts: a file of its own, which every process of the machine can read.

A process takes the first file in the directory that nobody has locked, and counts on where its owner
of before has stopped. The kernel frees the lock when a process ends, however it ends. So what was
counted is never lost, sums never go back, and there are as many files as there were processes at a
time. Nobody removes any.

A file is mapped into memory and has a fixed size, all of it allocated: a disk that gets full later
would kill the process that writes into a hole. Whatever is wrong with the directory, nobody who
counts hears of it: a figure is worth no request.
"""

import errno
import fcntl
import json
import mmap
import os
import stat
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

import structlog

from taskapi.core.tally_files import FILE_BYTES, HEAD, MAGIC, RECORD, Key, head_of, process_times, records_of

log = structlog.get_logger(__name__)

MAX_FILES = 1024
# A disk may have room again, a directory other permissions.
PAUSE_SECONDS = 60.0


class Tallies:
    """What this process counts; its file is taken when there is something to count.

    Attributes:
        kind: what this process is: ``web``, ``worker`` …
    """

    def __init__(self, directory: Path, kind: str) -> None:
        self.directory, self.kind = directory, kind
        # The collector of garbage may give back a connection, which is counted, while this thread counts.
        self._lock = threading.RLock()
        self._file: _File | None = None
        self._not_before = 0.0
        _all.add(self)

    def add(self, key: Key, size: int, *changes: tuple[int, float]) -> None:
        """Add to some of the ``size`` numbers that are kept under the key, each named by its place."""
        with self._lock:
            file = self._file or self._take()
            place = file.place_of(key, size) if file else None
            if file is not None and place is not None:
                for index, amount in changes:
                    file.numbers[place + index] += amount

    def set(self, key: Key, value: float) -> None:
        """Say what is so now; with the process that is over. Alone it is no reason to take a file."""
        with self._lock:
            place = self._file.place_of(key, 1, passing=True) if self._file else None
            if self._file is not None and place is not None:
                self._file.numbers[place] = value

    def begin(self) -> None:
        """Take a file at once, so that this process is seen also before it counts anything."""
        with self._lock:
            if self._file is None:
                self._take()

    def close(self) -> None:
        """Leave the file to the next process."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def forget(self) -> None:
        """After a fork: the file is the parent's, and the lock may be held by a thread that is not here."""
        self._lock = threading.RLock()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self) -> "_File | None":
        if time.monotonic() < self._not_before:
            return None
        try:
            self._file = _take_file(self.directory, self.kind)
        except (OSError, ValueError) as error:
            # ValueError: somebody cut the file short before it was mapped.
            self._not_before = time.monotonic() + PAUSE_SECONDS
            log.warning("metrics.not_counted", error=str(error), path=str(self.directory))
        return self._file


_all: WeakSet[Tallies] = WeakSet()


def _forget_all() -> None:
    for each in list(_all):
        each.forget()


os.register_at_fork(after_in_child=_forget_all)


class _File:
    """A file that this process has locked. Closing all of its descriptors frees it."""

    def __init__(self, descriptor: int, kind: str) -> None:
        self._descriptor = descriptor
        if os.fstat(descriptor).st_size != FILE_BYTES:
            os.ftruncate(descriptor, 0)
            # Written and not only declared, so that each byte has its place on the disk.
            if os.pwrite(descriptor, bytes(FILE_BYTES), 0) != FILE_BYTES:
                os.ftruncate(descriptor, 0)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._map = mmap.mmap(descriptor, FILE_BYTES)
        self._bytes = memoryview(self._map)
        self.numbers = self._bytes.cast("d")
        self._places: dict[tuple[Key, int], int] = {}
        self._used = self._read()
        self._bytes[: HEAD.size] = HEAD.pack(MAGIC, self._used, os.getpid(), _began(), kind.encode()[:16])

    def place_of(self, key: Key, size: int, *, passing: bool = False) -> int | None:
        """Where the numbers of the key begin; None when the file is full."""
        place = self._places.get((key, size))
        return self._append(key, size, passing) if place is None else place

    def close(self) -> None:
        with suppress(BufferError):
            self.numbers.release()
            self._bytes.release()
            self._map.close()
        os.close(self._descriptor)

    def _append(self, key: Key, size: int, passing: bool) -> int | None:
        text = json.dumps(key).encode()
        text += b" " * (-len(text) % 8)
        head = RECORD.pack(len(text), size, passing) + text
        length = len(head)
        start = self._used
        begin = start + length
        end = begin + size * 8
        if end > FILE_BYTES:
            return None
        # At once, as this thread may come here again before it has written.
        self._used = end
        self._bytes[start:begin] = head
        self.numbers[begin // 8 : end // 8] = memoryview(bytes(size * 8)).cast("d")
        # Last, as others read meanwhile.
        self._bytes[8:12] = struct.pack("=I", self._used)
        self._places[key, size] = begin // 8
        return begin // 8

    def _read(self) -> int:
        """Find what was counted before, and begin what goes with a process anew; the bytes in use."""
        data = bytes(self._bytes)
        try:
            used = head_of(data)[0]
            for key, begin, size, passing in records_of(data, used):
                self._places[key, size] = begin // 8
                if passing:
                    self.numbers[begin // 8] = 0.0
        except ValueError:
            # A new one, or none of ours.
            self._places.clear()
            return HEAD.size
        return used


def _take_file(directory: Path, kind: str) -> _File:
    """
    Raises:
        OSError, ValueError: none can be taken.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(MAX_FILES):
        descriptor = _lock_file(directory / f"slot-{number}")
        if descriptor is None:
            continue
        try:
            return _File(descriptor, kind)
        except (OSError, ValueError):
            os.close(descriptor)
            raise
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _lock_file(path: Path) -> int | None:
    """The descriptor of the file, locked; None if it is another's: a process's, a user's, no file at all."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.ENOSPC, errno.EMFILE, errno.ENFILE) or not path.exists():
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
    except BlockingIOError:
        pass
    except OSError:
        # No file can be locked here, as on some network shares: the next one could not be, either.
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _began() -> int:
    """When this process began, in ticks since the boot; 0 where the system does not tell."""
    found = process_times(os.getpid())
    return found[0] if found else 0
