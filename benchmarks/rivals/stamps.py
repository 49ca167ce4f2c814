"""What every job of every system does: note when it began, and when it was due; 16 bytes in one file."""

import os
import struct
import time
from pathlib import Path

STAMP = struct.Struct("<dd")


def stamp(due: float) -> None:
    """Append the time now and the due time (both seconds since 1970), in one write."""
    begun = time.time()
    file = os.open(os.environ["BENCHMARK_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, STAMP.pack(begun, due))
    finally:
        os.close(file)


def read_stamps(path: Path) -> list[tuple[float, float]]:
    """When each job began and when it was due, in the order in which they began."""
    return sorted(STAMP.iter_unpack(path.read_bytes())) if path.exists() else []


def count_stamps(path: Path) -> int:
    return path.stat().st_size // STAMP.size if path.exists() else 0
