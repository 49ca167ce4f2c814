"""Objects as files: what is there after a crash, who may read them, and disks that fail."""

import errno
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from taskapi.clients.storage.base import ObjectMissing, StorageFull, StorageUnavailable
from taskapi.clients.storage.disk import DiskStorage
from tests.clients.storage.contents import KEY, OTHER_KEY, make_unreadable, put, read_all

CONTENT = b"kept through a power cut"


def fails_with(code: int) -> Any:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(code, os.strerror(code), "/the/path")

    return fail


@pytest.fixture
def another_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be renamed from incoming into the store."""
    rename = os.replace

    def replace(source: Path, target: Path) -> None:
        if source.parent.name == "incoming":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_objects_lie_in_two_levels_of_folders_that_nobody_else_can_read(
    disk: DiskStorage, tmp_path: Path
) -> None:
    put(disk, CONTENT)
    path = tmp_path / "files" / KEY[:2] / KEY[2:4] / KEY
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, disk.incoming):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.usefixtures("another_file_system")
def test_a_content_from_another_file_system_is_copied(disk: DiskStorage, tmp_path: Path) -> None:
    put(disk, CONTENT)
    assert read_all(disk) == CONTENT
    assert list(disk.incoming.iterdir()) == []
    path = tmp_path / "files" / KEY[:2] / KEY[2:4] / KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.usefixtures("another_file_system")
def test_a_copy_that_breaks_off_is_no_object_and_goes_with_its_deletion(
    disk: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_source: Path, target: Path) -> None:
        target.write_bytes(CONTENT[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(StorageFull):
        put(disk, CONTENT)
    assert list(disk.walk()) == []
    with pytest.raises(ObjectMissing):
        disk.open(KEY)
    disk.delete(KEY)
    folder = disk.incoming.parent / KEY[:2] / KEY[2:4]
    assert list(folder.iterdir()) == []


def test_the_disk_has_the_content_before_the_name_and_both_on_return(
    disk: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        steps.append(f"name {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    put(disk, CONTENT)
    assert steps == ["sync files", f"sync {KEY[:2]}", "sync upload", f"name {KEY}", f"sync {KEY[2:4]}"]


def test_a_deletion_is_on_the_disk_before_it_is_told(
    disk: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(disk, CONTENT)
    monkeypatch.setattr(os, "fsync", fails_with(errno.EIO))
    with pytest.raises(StorageUnavailable):
        disk.delete(KEY)


@pytest.mark.parametrize("step", ["fsync", "replace", "mkdir"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EIO, StorageUnavailable),
        (errno.EROFS, StorageUnavailable),
    ],
)
def test_a_disk_that_fails_is_told_to_the_log_and_not_to_the_client(
    disk: DiskStorage,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    code: int,
    expected: type[StorageFull | StorageUnavailable],
) -> None:
    source = disk.incoming / "upload"
    source.write_bytes(CONTENT)
    with monkeypatch.context() as broken:
        broken.setattr(os, step, fails_with(code))
        with capture_logs() as lines, pytest.raises(expected) as caught:
            disk.put(KEY, source)
    assert caught.value.detail == expected.title
    assert lines[0]["event"] == "storage.disk_failed"
    assert "/the/path" in lines[0]["error"]
    assert list(disk.walk()) == []


@pytest.mark.parametrize(
    ("probe", "is_there"), [(None, True), (errno.ENOSPC, True), (errno.EIO, False), (errno.EROFS, False)]
)
def test_an_object_ends_at_a_bad_sector_unless_the_whole_disk_is_away(
    disk: DiskStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: int | None, is_there: bool
) -> None:
    put(disk, CONTENT)
    make_unreadable(tmp_path / "files" / KEY[:2] / KEY[2:4] / KEY)
    if probe is not None:
        monkeypatch.setattr(os, "fsync", fails_with(probe))
    if is_there:
        assert read_all(disk) == b""
    else:
        with pytest.raises(StorageUnavailable):
            read_all(disk)
    assert [path.name for path in (tmp_path / "files" / KEY[:2] / KEY[2:4]).iterdir()] == [KEY]


def test_where_no_disk_is_mounted_no_object_is_called_missing(disk: DiskStorage, tmp_path: Path) -> None:
    for _ in ("there is no directory", "it is empty"):
        for use in (disk.open, disk.delete):
            with capture_logs() as lines, pytest.raises(StorageUnavailable):
                use(KEY)
        assert disk.incoming.is_dir()
    assert [line["event"] for line in lines] == ["storage.disk_empty"]
    put(disk, CONTENT, key=OTHER_KEY)
    with pytest.raises(ObjectMissing):
        disk.open(KEY)


def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    disk = DiskStorage(tmp_path / "taken")
    with capture_logs() as lines, pytest.raises(StorageUnavailable):
        assert disk.incoming
    assert str(tmp_path / "taken") in lines[0]["error"]


def test_walking_a_directory_that_is_away_fails(disk: DiskStorage) -> None:
    with pytest.raises(StorageUnavailable):
        list(disk.walk())


def test_what_is_no_object_is_not_walked(disk: DiskStorage, tmp_path: Path) -> None:
    put(disk, CONTENT)
    folder = tmp_path / "files" / KEY[:2] / KEY[2:4]
    for stranger in (folder / "README", tmp_path / "files" / "lost+found", folder / f"{KEY}.part"):
        stranger.write_bytes(b"not ours")
    assert [item.key for item in disk.walk()] == [KEY]


def test_uploads_of_dead_processes_go_when_a_process_begins(disk: DiskStorage) -> None:
    old, new = disk.incoming / "old", disk.incoming / "new"
    for path in (old, new):
        path.write_bytes(CONTENT)
    os.utime(old, (time.time() - 90_000,) * 2)
    assert sorted(disk.incoming.iterdir()) == [new, old]
    folder = disk.incoming / "lost+found"
    folder.mkdir()
    os.utime(folder, (0, 0))
    again = DiskStorage(disk.incoming.parent)
    assert sorted(again.incoming.iterdir()) == [folder, new]
