"""Uploads by people who mean harm: names, disguises, bombs. Nothing is opened, nothing gets out."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.config_files import DEFAULT_FILE_TYPES
from tests.files.making import key_of
from tests.files.uploading import (
    END,
    PNG,
    TEXT,
    assert_nothing_kept,
    counted,
    download,
    part,
    post_form,
    upload,
    upload_raw,
    zipped,
)
from tests.people import Person
from tests.settings import settings_changed

Upload = Callable[..., Any]
pytestmark = [pytest.mark.usefixtures("empty_store"), pytest.mark.one_database]
both_ways = pytest.mark.parametrize("send_it", [upload, upload_raw])

HTML = b"<html><script>alert(document.domain)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + HTML + b"\n%%EOF"
GIF = b"GIF89a/*\x01\x00\x00\x00\x00*/=1;alert(1)//;"


def headers_of_content(person: Person, file: dict[str, Any]) -> Any:
    with person.get(f"/api/files/{file['id']}/content") as answer:
        assert answer.data
        return answer.headers


@both_ways
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/cron.d/x.txt", "x.txt"),
        ("/etc/passwd", "passwd"),
        ("C:\\autoexec.txt", "autoexec.txt"),
        ("CON", "_CON"),
        ("NUL.txt", "_NUL.txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("invoice\u202etxt.txt", "invoicetxt.txt"),
        ("%2e%2e%2fx.txt", "%2e%2e%2fx.txt"),
        ("a;b=c, d.txt", "a;b=c, d.txt"),
        ("été 茶.txt", "été 茶.txt"),
    ],
)
def test_a_name_leads_nowhere(app: Flask, owner: Person, send_it: Upload, sent: str, kept: str) -> None:
    answer = send_it(owner, filename=sent.replace("\\", "\\\\") if send_it is upload else sent)
    assert (answer.status_code, answer.json["filename"]) == (201, kept)
    key = key_of(app, UUID(answer.json["id"]))
    assert re.fullmatch("[0-9a-f]{32}", key)
    with app.app_context():
        assert [found.key for found in current_storage().walk()] == [key]
    disposition = headers_of_content(owner, answer.json)["Content-Disposition"]
    assert disposition.startswith("attachment;")
    encoded = re.search(r"filename\*=UTF-8''(\S+)", disposition)
    assert encoded is None or unquote(encoded[1]) == kept
    assert disposition.isprintable()


@both_ways
@pytest.mark.parametrize("name", ["..", ".", "/", " ", "../", "\u202e"])
def test_a_name_that_is_none_is_refused(app: Flask, owner: Person, send_it: Upload, name: str) -> None:
    answer = send_it(owner, filename=name)
    field = "file" if send_it is upload else "filename"
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert_nothing_kept(app)


def test_the_extended_name_of_a_form_is_read(owner: Person) -> None:
    extended = "name=\"file\"; filename*=UTF-8''..%2F%E8%8C%B6.txt"
    assert post_form(owner, part(extended) + END).json["filename"] == "茶.txt"


@both_ways
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (HTML, "picture.png"),
        (HTML, "page.html"),
        (HTML, "notes.txt"),
        (HTML + PDF, "paper.pdf"),
        (HTML + zipped("a.txt"), "archive.zip"),
        (SVG, "drawing.svg"),
        (SVG, "drawing.png"),
        (b"\xef\xbb\xbf\n" + SVG, "drawing.txt"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "a.xml"),
        (b"MZ\x90\x00\x03" + bytes(60), "program.png"),
        (b"MZ\x90\x00\x03" + bytes(60), "program.exe"),
        (b"MZ\x90\x00\x03" + bytes(60), "program"),
        (zipped("a.txt"), "letter.docx"),
        (PNG, "picture.txt"),
        (b"#!/bin/sh\nid\n", "script.txt"),
        (b"<?php phpinfo();", "notes.txt"),
        (PNG, "picture.png.exe"),
        (TEXT, "notes.txt.html"),
    ],
)
def test_a_disguise_is_refused(app: Flask, owner: Person, send_it: Upload, content: bytes, name: str) -> None:
    answer = send_it(owner, content, name)
    assert (answer.status_code, answer.json["code"]) == (415, "file_type_not_allowed")
    assert_nothing_kept(app)


@pytest.mark.parametrize(
    ("content", "name", "kind"), [(PDF, "a.pdf", "application/pdf"), (GIF, "a.gif", "image/gif")]
)
def test_what_is_two_things_at_once_is_served_as_what_it_begins_with(
    owner: Person, content: bytes, name: str, kind: str
) -> None:
    file = upload(owner, content, name).json
    headers = headers_of_content(owner, file)
    assert headers["Content-Type"] == kind
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert headers["Content-Disposition"].startswith("attachment")


def test_active_content_that_an_operator_allows_is_not_shown_by_browsers(app: Flask, owner: Person) -> None:
    with settings_changed(app, allowed_file_types=(*DEFAULT_FILE_TYPES, ".svg", ".html")):
        files = [upload(owner, SVG, "a.svg").json, upload(owner, HTML, "a.html").json]
    for file in files:
        headers = headers_of_content(owner, file)
        assert headers["Content-Disposition"].startswith("attachment")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def bomb() -> bytes:
    """An archive that would unpack to 40 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(40_000_000))
    return buffer.getvalue()


def hostile_names() -> bytes:
    """An archive of a symbolic link, and of what would climb out of a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ("../../evil.txt", "/etc/evil", "C:\\evil", "a" * 60_000):
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize("make", [bomb, hostile_names])
def test_an_archive_is_kept_as_it_is_and_never_opened(
    owner: Person, make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make()

    def opened(*_args: object, **_options: object) -> None:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", opened)
    monkeypatch.setattr(zlib, "decompressobj", opened)
    answer = upload(owner, content, "archive.zip")
    assert (answer.status_code, answer.json["size"]) == (201, len(content))
    assert download(owner, answer.json) == content


def test_a_picture_of_endless_width_is_not_decoded(owner: Person) -> None:
    header = b"IHDR" + struct.pack(">LLBBBBB", 50_000, 50_000, 8, 6, 0, 0, 0)
    content = PNG[:8] + struct.pack(">L", 13) + header + struct.pack(">L", zlib.crc32(header))
    answer = upload(owner, content, "huge.png")
    assert (answer.status_code, answer.json["content_type"]) == (201, "image/png")


def test_the_quota_is_told_with_numbers(app: Flask, owner: Person) -> None:
    with settings_changed(app, file_quota=30):
        assert upload(owner).status_code == 201
        answer = upload(owner)
    assert (answer.status_code, answer.json["code"]) == (507, "quota_exceeded")
    assert answer.json["detail"] == "The file has 21 bytes; 21 of your 30 bytes are used."
    assert counted(app)[2] == len(TEXT)


def test_anothers_quota_is_not_used(app: Flask, owner: Person, teammate: Person) -> None:
    with settings_changed(app, file_quota=len(TEXT)):
        assert [upload(person).status_code for person in (owner, teammate, owner)] == [201, 201, 507]


def test_a_download_needs_who_may_see_it(owner: Person, teammate: Person) -> None:
    file = upload(owner).json
    path = f"/api/files/{file['id']}/content"
    assert teammate.get(path).status_code == 404
    assert owner.client.get(path).status_code == 401
    assert owner.client.get(path, query_string={"access_token": owner.access_token}).status_code == 401
    headers = headers_of_content(owner, file)
    assert headers["Cache-Control"] == "private, no-cache"
    # Who knows a content is told that it is the same only where they may still see it.
    known = {"If-None-Match": headers["ETag"]}
    assert [person.get(path, headers=known).status_code for person in (owner, teammate)] == [304, 404]


def test_a_form_of_a_thousand_parts_is_refused_at_the_first_that_is_too_many(
    app: Flask, owner: Person
) -> None:
    parts = b"".join(part(f'name="a{number}"', b"x") for number in range(1000))
    assert post_form(owner, parts + END).status_code == 422
    assert_nothing_kept(app)
