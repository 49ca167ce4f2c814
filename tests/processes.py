"""What the system knows of processes."""

from contextlib import suppress
from pathlib import Path


def children_of(process: int) -> list[int]:
    """Those that live, whichever of its threads began them; none of a process that is gone."""
    found = list[int]()
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(word) for word in path.read_text().split()]
    return found
