"""Whether the machine itself stood still: its clock and its disk, felt several times a second.

A disk shared with strangers may write nothing for seconds. What is late by that is not late by taskapi.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PAUSE_SECONDS, STILL_SECONDS = 0.25, 1.0

# From when until when, in seconds since 1970.
Stall = tuple[float, float]


@contextmanager
def feeling(folder: Path) -> Iterator[list[Stall]]:
    """While the block runs: each time that the machine stood still for more than ``STILL_SECONDS``.

    Args:
        folder: on the disk that is to be felt.
    """
    stalls: list[Stall] = []
    over = threading.Event()
    thread = threading.Thread(target=_feel, args=(folder / "pulse", stalls, over), daemon=True)
    thread.start()
    try:
        yield stalls
    finally:
        over.set()
        thread.join()


def _feel(path: Path, stalls: list[Stall], over: threading.Event) -> None:
    with path.open("wb", buffering=0) as file:
        began = time.time()
        while not over.wait(PAUSE_SECONDS):
            file.seek(0)
            file.write(b"!")
            os.fsync(file.fileno())
            ended = time.time()
            if ended - began > PAUSE_SECONDS + STILL_SECONDS:
                stalls.append((began, ended))
            began = ended


def held_up(stalls: Sequence[Stall], begin: float, end: float) -> float:
    """For how many seconds between two moments the machine stood still."""
    return sum(max(min(ended, end) - max(began, begin), 0.0) for began, ended in stalls)
