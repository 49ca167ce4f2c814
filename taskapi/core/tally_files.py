"""How the files look in which processes count, and what stands in them; see ``tallies``."""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

# The name of a figure, and the values of its labels.
Key = tuple[str, ...]

FILE_BYTES = 524_288
MAGIC = b"tally  1"
# MAGIC, bytes in use, process id, when it began by the kernel's ticks, what it is.
HEAD = struct.Struct("=8sIIQ16s")
# Bytes of the key, numbers, whether they go with their process. Each begins at a multiple of eight.
RECORD = struct.Struct("=HHI")


@dataclass(frozen=True, slots=True)
class Tally:
    """What one process, or several after each other, have counted.

    Attributes:
        counted: sums, by key.
        current: what is so now, by key; nothing when no process has the file.
        kind, pid, began: the process that has it, or had it last; ``began`` in ticks since the boot.
    """

    slot: int
    is_alive: bool
    kind: str
    pid: int
    began: int
    counted: dict[Key, tuple[float, ...]]
    current: dict[Key, tuple[float, ...]]


def read_tallies(directory: Path) -> Iterator[Tally]:
    """What all processes of this machine have counted; files that cannot be understood are left out."""
    for path in sorted(directory.glob("slot-*")):
        try:
            slot = int(path.name.removeprefix("slot-"))
            data, is_alive = _contents(path)
            used, pid, began, kind = head_of(data)
            counted: dict[Key, tuple[float, ...]] = {}
            current: dict[Key, tuple[float, ...]] = {}
            for key, begin, size, passing in records_of(data, used):
                values = struct.unpack_from(f"={size}d", data, begin)
                if not passing:
                    counted[key] = values
                elif is_alive:
                    current[key] = values
        except (OSError, ValueError) as error:
            log.warning("metrics.unreadable", path=str(path), error=type(error).__name__)
            continue
        yield Tally(slot, is_alive, kind, pid, began, counted, current)


def _contents(path: Path) -> tuple[bytes, bool]:
    """The bytes of a file, and whether a process has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        is_alive = False
        try:
            # Shared, so that several who look at the same moment do not take each other for its owner.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alive = True
        return os.pread(descriptor, FILE_BYTES, 0), is_alive
    finally:
        os.close(descriptor)


def head_of(data: bytes) -> tuple[int, int, int, str]:
    """The bytes in use, and the process: its id, when it began, and what it is.

    Raises:
        ValueError: it is no file of ours.
    """
    if len(data) != FILE_BYTES:
        raise ValueError("not the size of a tally")
    magic, used, pid, began, kind = HEAD.unpack_from(data)
    if magic != MAGIC or not HEAD.size <= used <= FILE_BYTES:
        raise ValueError("not a tally")
    return used, pid, began, kind.rstrip(b"\0").decode("ascii", "replace")


def records_of(data: bytes, used: int) -> Iterator[tuple[Key, int, int, bool]]:
    """The key of each record, at which byte its numbers begin, how many they are, and whether they pass.

    Raises:
        ValueError: what stands there is no record.
    """
    position = HEAD.size
    while position < used:
        if position + RECORD.size > used:
            raise ValueError("a record that is none")
        length, size, passing = RECORD.unpack_from(data, position)
        begin = position + RECORD.size + length
        position = begin + size * 8
        if length % 8 or not size or position > used:
            raise ValueError("a record that is none")
        yield _key(data[begin - length : begin]), begin, size, bool(passing)


def _key(text: bytes) -> Key:
    try:
        key = json.loads(text)
    except RecursionError as error:
        raise ValueError("a key that is none") from error
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key):
        raise ValueError("a key that is none")
    return tuple(key)


def process_times(pid: int) -> tuple[int, int, int] | None:
    """When a process began, and its time on processors, both in ticks, and its pages in memory (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[19]), int(fields[11]) + int(fields[12]), int(fields[21])
