"""What a store of objects can do. Both kinds pass the same tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from taskapi.core.errors import DomainError, Unavailable


class StorageFull(DomainError):
    """The store has no room left; nothing was kept."""

    status = 507
    code = "storage_full"
    title = "Storage full"


class StorageUnavailable(Unavailable):
    """The store of files is out of reach; nothing was changed."""

    code = "storage_unavailable"
    title = "Storage unavailable"


class ObjectMissing(Exception):
    """The store has no object of this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that lies in the store."""

    key: str
    size: int
    modified_at: datetime


class Reader(Protocol):
    """The content of an object, from where it was opened on."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, ``size`` unless the content ends; none at its end.

        What cannot be read any more though the store is there ends it, too: its hash tells.

        Raises:
            StorageUnavailable: the store broke off.
        """

    def close(self) -> None:
        """Let the object go; may be called twice."""


class Storage(Protocol):
    """Keeps contents under keys of 32 hexadecimal digits."""

    @property
    def incoming(self) -> Path:
        """A directory, which is there, where contents are gathered before they are put.

        Raises:
            StorageFull, StorageUnavailable
        """

    def put(self, key: str, source: Path) -> None:
        """Keep the content of a file of ``incoming``; it is durable, and the file gone, on return.

        Raises:
            StorageFull, StorageUnavailable: nothing is kept, but the object may be left half
                written under its key: it is to be deleted.
        """

    def open(self, key: str, *, start: int = 0) -> Reader:
        """Read the content from the byte ``start`` on.

        Raises:
            ObjectMissing, StorageUnavailable
        """

    def delete(self, key: str) -> None:
        """Remove the object; there may be none.

        Raises:
            StorageFull: some stores and file systems need room to delete.
            StorageUnavailable
        """

    def presign(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str | None:
        """A URL that serves the content to anybody for so long; None where the store has none."""

    def walk(self) -> Iterator[StoredObject]:
        """Every object, in the order of the keys.

        Raises:
            StorageUnavailable
        """
