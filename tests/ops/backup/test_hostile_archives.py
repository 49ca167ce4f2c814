"""An archive that broke, or that somebody has tampered with, is refused in one line."""

import hashlib
import json
import tarfile
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from taskapi.clients.storage import current_storage
from taskapi.ops.backup import sqlite
from taskapi.ops.backup.archive import HEADER, MANIFEST, SUMS
from taskapi.ops.backup.errors import ArchiveDamaged, BackupError
from taskapi.ops.backup.manifest import make_header
from taskapi.ops.backup.restoring import Archive, check_archive, restore

pytestmark = [pytest.mark.one_database, pytest.mark.usefixtures("context")]
KEY = "0" * 32
ENDLESS = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**15)}


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def write(path: Path, *added: tuple[tarfile.TarInfo, bytes], **changed: Any) -> Path:
    """An archive whose sums are right, with members and values of header or manifest of one's own."""
    header = asdict(make_header(revision="0001", database="sqlite"))
    manifest = {"tables": {}, "objects": len(added), "bytes": sum(len(content) for _, content in added)}
    for name, value in changed.items():
        (header if name in header else manifest)[name] = value
    members = [
        member(HEADER, json.dumps(header).encode()),
        member(sqlite.MEMBER, b"no database"),
        *added,
        member(MANIFEST, json.dumps(manifest).encode()),
    ]
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {info.name}\n" for info, content in members)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in [*members, member(SUMS, sums.encode())]:
            tar.addfile(info, BytesIO(content))
    return path


def check(path: Path) -> Archive:
    return check_archive(path, tell=lambda *_: None)


def test_one_that_is_sound_is_taken(tmp_path: Path) -> None:
    assert check(write(tmp_path / "sound.tar", member(f"objects/{KEY}", b"tea"))).manifest.objects == 1


@pytest.mark.parametrize(
    "added",
    [
        member("objects/../../../evil", b"x"),
        member("/etc/cron.d/evil", b"x"),
        member(f"objects/{KEY}", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member(f"objects/{KEY}", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member(f"objects/{KEY}", type=tarfile.FIFOTYPE),
        member(f"objects/{KEY}", pax_headers=ENDLESS),
        member(f"objects/{KEY}", pax_headers={"size": "-5"}),
        member(f"objects/{KEY}", pax_headers={"GNU.sparse.map": "x"}),
        member("objects/\x1b[31m", b"x"),
        member("database/taskapi.dump", b"x"),
    ],
    ids=[
        "up",
        "absolute",
        "symlink",
        "link",
        "fifo",
        "sparse",
        "negative",
        "nonsense",
        "terminal",
        "database",
    ],
)
def test_a_member_that_belongs_in_no_backup_is_refused(
    tmp_path: Path, added: tuple[tarfile.TarInfo, bytes]
) -> None:
    with pytest.raises(ArchiveDamaged) as raised:
        check(write(tmp_path / "hostile.tar", added))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": 5},
        {"version": "\x1b[31m"},
        {"format": "new"},
        {"database": "oracle"},
        {"tables": None},
        {"tables": {"users": "many"}},
        {"missing": [1]},
        {"damaged": 3},
        {"unknown": 1},
    ],
    ids=lambda changed: "-".join(f"{name}-{value!r}" for name, value in changed.items()),
)
def test_a_header_or_manifest_that_says_nonsense_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(ArchiveDamaged):
        check(write(tmp_path / "hostile.tar", **changed))


def test_wherever_it_is_cut_short_that_is_found(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.tar", member(f"objects/{KEY}", b"x" * 1000)).read_bytes()
    with tarfile.open(fileobj=BytesIO(whole)) as tar:
        end = max(info.offset_data + info.size for info in tar)
    short = tmp_path / "short.tar"
    for size in range(0, end, 100):
        short.write_bytes(whole[:size])
        with pytest.raises(ArchiveDamaged):
            check(short)


def test_what_cannot_be_unpacked_leaves_everything_as_it_was(app: Flask, tmp_path: Path) -> None:
    archive = check(write(tmp_path / "hostile.tar"))
    incoming = current_storage().incoming
    before = set(incoming.iterdir())
    with pytest.raises(BackupError, match=r"taskapi\.db\.gz cannot be unpacked"):
        restore(archive, storage=current_storage(), tell=lambda *_: None)
    assert set(incoming.iterdir()) == before
