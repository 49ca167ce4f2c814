"""What a file is, told from its content: the name's ending must belong to it, and the type be allowed."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from taskapi.config_files import DEFAULT_FILE_TYPES
from taskapi.files.errors import FileTypeNotAllowed
from taskapi.files.types import AllowedTypes, checked_type
from taskapi.files.zips import DOCX, PPTX, XLSX, ZIP, BrokenZip, type_of_zip
from tests.files.uploading import PNG, zipped

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n%%EOF"
TYPES = "[Content_Types].xml"
WORD, EXCEL, POWERPOINT = (
    zipped(TYPES, name) for name in ("word/document.xml", "xl/book.xml", "ppt/deck.xml")
)
MACROS = zipped(TYPES, "word/document.xml", "word/vbaProject.bin")
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
DWG = b"AC1027\x00\x00\x00\x00\x00\xff" + bytes(100)
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04"


def find(folder: Path, content: bytes, name: str, *allowed: str) -> str | None:
    """The type, or None if it is refused."""
    path = folder / "upload-x"
    path.write_bytes(content)
    try:
        is_text = b"\0" not in content and bool(content.decode() or True)
    except UnicodeDecodeError:
        is_text = False
    words = AllowedTypes.of(allowed or DEFAULT_FILE_TYPES)
    try:
        return checked_type(path=path, filename=name, is_text=is_text, allowed=words)
    except FileTypeNotAllowed:
        return None


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (PNG, "a.png", "image/png"),
        (PNG, "A.PNG", "image/png"),
        (PNG, "a", "image/png"),
        (JPEG, "a.jpg", "image/jpeg"),
        (JPEG, "a.jpeg", "image/jpeg"),
        (GIF, "a.gif", "image/gif"),
        (WEBP, "a.webp", "image/webp"),
        (PDF, "a.pdf", "application/pdf"),
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b"# Title\n", "a.md", "text/markdown"),
        (b"<p align=center>\n# Title\n", "readme.md", "text/markdown"),
        (b"<!-- a note -->\n# Title\n", "readme.md", "text/markdown"),
        (b"This is a text.", "a.txt", "text/plain"),
        (b"import os\n", "a.txt", "text/plain"),
        (b"This is a text.", "a", "text/plain"),
        (b"This is a text.", ".notes", "text/plain"),
        (b"", "a.txt", "text/plain"),
        (b"", "a.json", "application/json"),
        ("\ufeffDéjà vu, 茶".encode(), "a.txt", "text/plain"),
        (b"an <b>html</b> word <script>", "a.txt", "text/plain"),
        (zipped("a.txt", "b/c.txt"), "a.zip", ZIP),
        (EMPTY_ZIP, "a.zip", ZIP),
        (WORD, "a.docx", DOCX),
        (EXCEL, "a.xlsx", XLSX),
        (POWERPOINT, "a.pptx", PPTX),
        (WORD, "a", DOCX),
    ],
)
def test_each_kind_is_told_from_its_content(tmp_path: Path, content: bytes, name: str, kind: str) -> None:
    assert find(tmp_path, content, name) == kind


HTML = b"<!DOCTYPE html><html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (PNG, "a.jpg"),
        (PNG, "a.txt"),
        (JPEG, "a.png"),
        (GIF, "a.html"),
        (b"words", "a.png"),
        (b"words", "a.pdf"),
        (b"words", "a.zip"),
        (b"words", "a.html"),
        (b"words", "a.exe"),
        (b"words", "a.unknown"),
        (b"", "a.png"),
        (b"\x89PNG", "a.png"),
        (b"caf\xe9", "a.txt"),
        (b"a\x00b", "a.txt"),
        ("words".encode("utf-16"), "a.txt"),
        (bytes(range(256)), "a"),
        (WORD, "a.zip"),
        (WORD, "a.xlsx"),
        (zipped("word/document.xml"), "a.docx"),
        (zipped("a.txt"), "a.docx"),
        (MACROS, "a.docx"),
        (MACROS, "a.docm"),
        (zipped("a.txt"), "a.jar"),
        (zipped("a.txt")[:-10], "a.zip"),
        (b"PK\x03\x04" + bytes(100), "a.zip"),
        *((HTML, name) for name in ("a.html", "a.txt", "a.png", "a.md", "a", "a.json")),
        (b"\xef\xbb\xbf \r\n\t<HTML>", "a.txt"),
        (b"<script>alert(1)</script>", "a.txt"),
        (b"<!-- --><script>alert(1)</script>", "a.txt"),
        (b"<b>bold</b>", "a.csv"),
        *((SVG, name) for name in ("a.svg", "a.txt", "a.png", "a.xml")),
        (b'<?xml version="1.0"?>\n<a/>', "a.xml"),
        (b'<?xml version="1.0"?>\n<a/>', "a.txt"),
        (b"<?php system($_GET['c']);", "a.txt"),
        (b"<?= 1 ?>", "a.md"),
        (b"#!/bin/sh\nrm -rf /\n", "a.txt"),
        (b"#!/bin/sh\nrm -rf /\n", "a"),
        (EXE, "a.exe"),
        (EXE, "a.png"),
        (EXE, "a"),
        (b"\x7fELF\x02\x01\x01", "a.txt"),
        (b"\xcf\xfa\xed\xfe\x07", "a"),
        (b"{\\rtf1\\ansi}", "a.txt"),
        (b"%!PS-Adobe-3.0", "a.txt"),
        (DWG, "a.dwg"),
        (DWG, "a"),
        # Signatures that do not stand at the beginning.
        (b"\n" + PDF, "a.pdf"),
        (HTML + PDF, "a.pdf"),
        (HTML + zipped("a.txt"), "a.zip"),
        (b"GIF" + PNG, "a.png"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    assert find(tmp_path, content, name) is None


@pytest.mark.parametrize(
    ("content", "name", "allowed", "kind"),
    [
        (PNG, "a.png", "image/png", "image/png"),
        (PNG, "a.png", "image/jpeg", None),
        (b"words", "a.txt", ".md", None),
        (b"words", "a", ".md", None),
        (b"words", "a.log", ".log", "text/plain"),
        (b"words", "a.ics", "text/calendar", "text/calendar"),
        (b"words", "a.py", ".py", "text/x-script"),
        (b"#!/bin/sh\n", "a.sh", ".sh", "text/x-script"),
        (HTML, "a.html", "text/html", "text/html"),
        (SVG, "a.svg", ".svg", "image/svg+xml"),
        (b'<?xml version="1.0"?><!-- a --><svg >', "a.svg", ".svg", "image/svg+xml"),
        (b'<?xml version="1.0"?><kml>', "a.kml", ".kml", "application/xml"),
        (EXE, "a.exe", ".exe", "application/vnd.microsoft.portable-executable"),
        (DWG, "a.dwg", ".dwg", "image/x-dwg"),
        (b"\x93\xff\x00", "a.dat", ".dat", "application/octet-stream"),
        (b"\x93\xff\x00", "a.bin", "application/octet-stream", "application/octet-stream"),
        (b"II*\x00" + bytes(20), "a.tif", "image/tiff", "image/tiff"),
        (b"words", "a.tif", "image/tiff", None),
        (zipped("mimetype"), "a.odt", ".odt", "application/vnd.oasis.opendocument.text"),
        # Something known in the clothes of what an operator allowed.
        (PDF, "a.dwg", ".dwg", None),
        (HTML, "a.log", ".log", None),
        (EXE, "a.dat", ".dat", None),
        (WORD, "a.odt", ".odt", None),
    ],
)
def test_an_operator_may_allow_types_and_endings(
    tmp_path: Path, content: bytes, name: str, allowed: str, kind: str | None
) -> None:
    assert find(tmp_path, content, name, allowed) == kind


def test_a_reason_is_given(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(PNG)
    allowed = AllowedTypes.of((".txt",))
    for name, reason in [
        ("a.txt", "The content is image/png, to which the ending .txt does not belong."),
        ("a.png", "Files of the type image/png may not be uploaded here."),
        ("a.xyz", "The content is image/png, to which the ending .xyz does not belong."),
    ]:
        with pytest.raises(FileTypeNotAllowed) as refusal:
            checked_type(path=path, filename=name, is_text=False, allowed=allowed)
        assert refusal.value.detail == reason
    path.write_bytes("Käse".encode("latin-1"))
    with pytest.raises(FileTypeNotAllowed, match="text in UTF-8; the content is not"):
        checked_type(path=path, filename="a.txt", is_text=False, allowed=allowed)
    path.write_bytes(b"")
    with pytest.raises(FileTypeNotAllowed, match=r"The content is empty, as no file that ends in \.png is"):
        checked_type(path=path, filename="a.png", is_text=True, allowed=allowed)


def archive(folder: Path, content: bytes) -> Path:
    path = folder / "upload-x"
    path.write_bytes(content)
    return path


def test_a_zip64_archive_is_read_by_its_larger_directory(tmp_path: Path) -> None:
    content = WORD
    at = content.rfind(b"PK\x05\x06")
    length, start = struct.unpack_from("<LL", content, at + 12)
    record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert zipfile.is_zipfile(io.BytesIO(content[:at] + record + locator + end))
    assert type_of_zip(archive(tmp_path, content[:at] + record + locator + end)) == DOCX
    for broken in (
        content[:at] + end,
        content[:at] + locator + end,
        content[:at] + record[:20] + locator + end,
    ):
        with pytest.raises(BrokenZip):
            type_of_zip(archive(tmp_path, broken))


def test_an_archive_with_a_comment_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        new.writestr("a", b"x")
        new.comment = b"c" * 65_535
    assert type_of_zip(archive(tmp_path, buffer.getvalue())) == ZIP


@pytest.mark.parametrize("cut", [1, 10, 21, 23, 60])
def test_half_an_archive_is_none(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BrokenZip):
        type_of_zip(archive(tmp_path, zipped("a.txt", "b.txt")[:-cut]))


def test_a_directory_that_points_elsewhere_is_none(tmp_path: Path) -> None:
    content = bytearray(zipped("a.txt"))
    at = content.rfind(b"PK\x05\x06")
    for length, start in ((46, 0xFFFFFFF0), (0xFFFFFFF0, 0), (60, 0), (1, at - 1)):
        struct.pack_into("<LL", content, at + 12, length, start)
        with pytest.raises(BrokenZip):
            type_of_zip(archive(tmp_path, bytes(content)))


def test_no_more_names_are_read_than_tell_the_type(tmp_path: Path) -> None:
    """The directory of a hostile archive may be as long as the file itself."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 1, 0, 0) + bytes(12) + b"a"
    directory = entry * 200_000
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 0, 0, len(directory), 0, 0)
    assert type_of_zip(archive(tmp_path, directory + end)) == ZIP
