"""The store of files, and the room that is left on the disks."""

import secrets
import shutil
import tempfile
from pathlib import Path

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing, Storage, StorageFull, StorageUnavailable
from taskapi.core.runtime import runtime_settings
from taskapi.ops.doctor.findings import Finding, fail, ok, warn

PROBE_BYTES = 64 * 1024
MEBIBYTE = 1024 * 1024
LOW_BYTES, EMPTY_BYTES = 1024 * MEBIBYTE, 200 * MEBIBYTE


def look_at_storage() -> Finding:
    """An object can be written, read and deleted."""
    settings = runtime_settings().storage
    where = f"bucket {settings.bucket}" if settings.bucket else str(settings.directory)
    try:
        whole = _write_read_delete(current_storage())
    except StorageFull:
        return fail(f"{where} is full", "make room, or delete files")
    except (StorageUnavailable, ObjectMissing) as error:
        return fail(f"{where}: {_reason(error)}", "correct STORAGE_URL, its credentials or the disk")
    if not whole:
        return fail(f"{where} gives back something else than it was given", "check the disk or the store")
    return ok(f"{where}: wrote, read and deleted an object")


def _write_read_delete(storage: Storage) -> bool:
    """Whether what is read is what was written."""
    # A name of 128 random bits: nobody else's object is touched.
    key, content = secrets.token_hex(16), secrets.token_bytes(PROBE_BYTES)
    with tempfile.NamedTemporaryFile(dir=storage.incoming, delete=False) as draft:
        draft.write(content)
    path = Path(draft.name)
    try:
        storage.put(key, path)
        reader = storage.open(key)
        try:
            return reader.read(PROBE_BYTES) == content
        finally:
            reader.close()
    finally:
        path.unlink(missing_ok=True)
        storage.delete(key)


def _reason(error: Exception) -> str:
    """The cause without a message of the store's: that may hold an address with a password."""
    cause = error.__cause__ or error
    answer = getattr(cause, "response", None)
    if isinstance(answer, dict):
        return str(answer.get("Error", {}).get("Code", type(cause).__name__))
    return str(cause) if isinstance(cause, OSError) else type(cause).__name__


def look_at_disk() -> Finding:
    """There is room where data and files lie."""
    settings = runtime_settings()
    folders = [settings.data_dir]
    if settings.storage.bucket is None:
        folders.append(settings.storage.directory)
    left = {folder: shutil.disk_usage(_existing(folder)).free for folder in folders}
    folder, free = min(left.items(), key=lambda pair: pair[1])
    detail = f"{free // MEBIBYTE} MiB free at {folder}"
    if free < EMPTY_BYTES:
        return fail(detail, "make room now: a full disk stops uploads, and SQLite altogether")
    if free < LOW_BYTES:
        return warn(detail, "make room soon")
    return ok(detail)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder
