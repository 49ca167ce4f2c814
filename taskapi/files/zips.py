"""What a ZIP archive is, told from the names in its directory: nothing of it is ever unpacked."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

ZIP = "application/zip"
_OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX = f"{_OFFICE}.wordprocessingml.document"
XLSX = f"{_OFFICE}.spreadsheetml.sheet"
PPTX = f"{_OFFICE}.presentationml.presentation"
WITH_MACROS = "application/vnd.ms-office.macroenabled.12"
OFFICE = {b"word/": DOCX, b"xl/": XLSX, b"ppt/": PPTX}
CONTENT_TYPES = b"[Content_Types].xml"
MACROS = b"vbaproject.bin"

# More names are not read, however many there are, and no more of each is kept.
MOST_NAMES, LONGEST_NAME = 10_000, 256
# APPNOTE.TXT 4.3: the end of the central directory, with a comment of 65,535 bytes at most.
END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
ENTRY = b"PK\x01\x02"
END_BYTES, LOCATOR_BYTES, ENTRY_BYTES, LONGEST_COMMENT = 22, 20, 46, 65_535
IN_64 = 0xFFFFFFFF


class BrokenZip(ValueError):
    """The archive has no directory, or one that cannot be read."""


def type_of_zip(path: Path) -> str:
    """The type of an archive, by the names that it holds.

    Raises:
        BrokenZip
    """
    with path.open("rb") as file:
        names = list(_names(file))
    if CONTENT_TYPES not in names:
        return ZIP
    for folder, kind in OFFICE.items():
        if any(name.startswith(folder) for name in names):
            return WITH_MACROS if any(name.lower().endswith(MACROS) for name in names) else kind
    return ZIP


def _names(file: BinaryIO) -> Iterator[bytes]:
    start, end = _directory(file)
    file.seek(start)
    for _ in range(MOST_NAMES):
        if file.tell() >= end:
            return
        entry = file.read(ENTRY_BYTES)
        if len(entry) < ENTRY_BYTES or not entry.startswith(ENTRY):
            raise BrokenZip
        name, extra, comment = struct.unpack_from("<HHH", entry, 28)
        yield file.read(name)[:LONGEST_NAME]
        file.seek(extra + comment, 1)


def _directory(file: BinaryIO) -> tuple[int, int]:
    """Where the central directory begins and ends."""
    size = file.seek(0, 2)
    tail_start = max(0, size - END_BYTES - LONGEST_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < END_BYTES:
        raise BrokenZip
    length, start = struct.unpack_from("<LL", tail, at + 12)
    if IN_64 in (length, start):
        length, start = _directory_64(file, tail_start + at)
    if start + length > tail_start + at:
        raise BrokenZip
    return start, start + length


def _directory_64(file: BinaryIO, end_at: int) -> tuple[int, int]:
    file.seek(max(0, end_at - LOCATOR_BYTES))
    locator = file.read(LOCATOR_BYTES)
    if not locator.startswith(LOCATOR_64):
        raise BrokenZip
    record_at: int = struct.unpack_from("<Q", locator, 8)[0]
    if record_at > end_at:
        raise BrokenZip
    file.seek(record_at)
    record = file.read(56)
    if len(record) < 56 or not record.startswith(END_64):
        raise BrokenZip
    length, start = struct.unpack_from("<QQ", record, 40)
    return length, start
