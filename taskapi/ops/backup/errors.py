"""What keeps a backup from being made or restored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BackupError(RuntimeError):
    """It cannot be done; the message is one line for the operator."""


class ArchiveDamaged(BackupError):
    """The archive is not what was written once."""


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Tell in one line what the disk refuses.

    Raises:
        BackupError
    """
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename or place}: {error.strerror or error}") from error
