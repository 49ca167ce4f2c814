"""Putting contents into a store and reading them back."""

from pathlib import Path

from taskapi.clients.storage.base import Reader, Storage

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "ffff6789abcdef0123456789abcdef00"


def put(storage: Storage, content: bytes, *, key: str = KEY) -> None:
    source = storage.incoming / "upload"
    source.write_bytes(content)
    storage.put(key, source)


def read_all(storage: Storage, *, key: str = KEY, start: int = 0, piece: int = 1_048_576) -> bytes:
    reader = storage.open(key, start=start)
    try:
        return b"".join(pieces_of(reader, piece))
    finally:
        reader.close()


def make_unreadable(path: Path) -> None:
    """Put something in the place of an object that opens like it, and of which every read fails with EIO."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def pieces_of(reader: Reader, size: int) -> list[bytes]:
    """What is read until nothing comes."""
    return list(iter(lambda: reader.read(size), b""))
