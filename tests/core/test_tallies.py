"""What each process counts, in files that all processes of the machine read."""

import errno
import json
import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from taskapi.core.tallies import PAUSE_SECONDS, Tallies
from taskapi.core.tally_files import FILE_BYTES, HEAD, Key, Tally, read_tallies

# Python 3.12 warns of what these tests try: a fork of a process with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
KEY = ("requests", "GET", "/tasks")


def one(directory: Path) -> Tally:
    (found,) = read_tallies(directory)
    return found


def total(directory: Path, key: Key = KEY) -> float:
    return sum(tally.counted.get(key, (0.0,))[0] for tally in read_tallies(directory))


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def in_child(work: Callable[[], object]) -> None:
    """Do it in a process that was forked, and wait for its end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def start_other(directory: Path) -> int:
    """A process that has counted a thousand, and lives on."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            other = Tallies(directory, "other")
            for _ in range(1000):
                other.add(KEY, 1, (0, 1.0))
            other.set(("connections",), 7.0)
            os.write(writing, b".")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(reading, 1) == b"."
    os.close(reading)
    os.close(writing)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_sums_and_what_is_so_now_are_read(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path, "web")
    for _ in range(3):
        tallies.add(KEY, 2, (0, 1.0), (1, 0.25))
    tallies.set(("connections",), 5.0)
    tallies.set(("connections",), 4.0)
    found = one(tmp_path)
    assert found.counted == {KEY: (3.0, 0.75)}
    assert found.current == {("connections",): (4.0,)}
    assert (found.slot, found.is_alive, found.kind, found.pid) == (0, True, "web", os.getpid())


def test_what_is_so_now_is_no_reason_to_take_a_file(tmp_path: Path) -> None:
    Tallies(tmp_path, "cli").set(("connections",), 1.0)
    assert files(tmp_path) == []


def test_nothing_is_lost_between_threads(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path, "web")

    def count() -> None:
        for number in range(2000):
            tallies.add(("n", str(number % 50)), 1, (0, 1.0))

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one(tmp_path).counted == {("n", str(number)): (160.0,) for number in range(50)}


def test_who_counts_while_it_counts_does_not_wait_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tallies = Tallies(tmp_path, "web")
    tallies.begin()
    dumps = json.dumps

    def collect_garbage(key: Key) -> str:
        if key == KEY:
            tallies.set(("connections",), 1.0)
        return dumps(key)

    monkeypatch.setattr("taskapi.core.tallies.json.dumps", collect_garbage)
    thread = Thread(target=tallies.add, args=(KEY, 1, (0, 1.0)), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert one(tmp_path).counted == {KEY: (1.0,)}
    assert one(tmp_path).current == {("connections",): (1.0,)}


def test_processes_at_the_same_time_have_files_of_their_own(tmp_path: Path) -> None:
    others = [start_other(tmp_path) for _ in range(2)]
    mine = Tallies(tmp_path, "web")
    mine.add(KEY, 1, (0, 1.0))
    assert total(tmp_path) == 2001
    assert Counter(tally.kind for tally in read_tallies(tmp_path)) == {"other": 2, "web": 1}
    for other in others:
        end(other)


def test_after_kill_9_the_next_process_counts_on(tmp_path: Path) -> None:
    other = start_other(tmp_path)
    assert one(tmp_path).current == {("connections",): (7.0,)}
    end(other)
    dead = one(tmp_path)
    assert (dead.is_alive, dead.current, total(tmp_path)) == (False, {}, 1000)
    heir = Tallies(tmp_path, "web")
    heir.add(KEY, 1, (0, 1.0))
    assert (total(tmp_path), files(tmp_path)) == (1001, ["slot-0"])
    assert one(tmp_path).current == {("connections",): (0.0,)}, "it was the dead one's"


def test_a_forked_process_takes_a_file_of_its_own(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path, "worker")
    tallies.add(KEY, 1, (0, 1.0))
    in_child(lambda: tallies.add(KEY, 1, (0, 10.0)))
    tallies.add(KEY, 1, (0, 1.0))
    assert [tally.counted[KEY] for tally in read_tallies(tmp_path)] == [(2.0,), (10.0,)]
    assert [tally.is_alive for tally in read_tallies(tmp_path)] == [True, False]


def test_a_fork_while_another_thread_counts_does_not_hang(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path, "web")
    tallies.begin()
    stop = False

    def count() -> None:
        while not stop:
            tallies.add(KEY, 1, (0, 1.0))

    thread = Thread(target=count)
    thread.start()
    for _ in range(5):
        in_child(lambda: tallies.add(("child",), 1, (0, 1.0)))
    stop = True
    thread.join()
    assert total(tmp_path, ("child",)) == 5


def test_those_who_look_do_not_take_each_other_for_processes(tmp_path: Path) -> None:
    end(start_other(tmp_path))
    seen: list[bool] = []
    threads = [
        Thread(target=lambda: seen.extend(one(tmp_path).is_alive for _ in range(50))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [False] * 200


def broken(data: bytes) -> dict[str, bytes]:
    record = HEAD.size
    return {
        "nothing": b"",
        "noise": os.urandom(FILE_BYTES),
        "cut off": data[:1000],
        "another magic": b"tally 99" + data[8:],
        "too much in use": data[:8] + struct.pack("=I", FILE_BYTES + 8) + data[12:],
        "a key that is too long": data[:record] + b"\xff\xff" + data[record + 2 :],
        "a key that is no JSON": data[: record + 8] + b"\xff" * 8 + data[record + 16 :],
        "a key that is no list": data[: record + 8] + b'{"a": 1}' + b" " * 24 + data[record + 40 :],
    }


@pytest.mark.parametrize("kind", list(broken(b"")))
def test_a_file_that_was_damaged_is_left_out_and_begun_anew(tmp_path: Path, kind: str) -> None:
    first = Tallies(tmp_path, "web")
    first.add(KEY, 1, (0, 5.0))
    first.close()
    path = tmp_path / "slot-0"
    path.write_bytes(broken(path.read_bytes())[kind])
    assert total(tmp_path) == 0
    second = Tallies(tmp_path, "web")
    second.add(KEY, 1, (0, 1.0))
    assert total(tmp_path) == 1


def test_what_else_lies_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "slot-0").mkdir()
    (tmp_path / "slot-1").symlink_to("/dev/zero")
    (tmp_path / "slot-x").write_text("a note")
    os.mkfifo(tmp_path / "slot-2")
    tallies = Tallies(tmp_path, "web")
    tallies.add(KEY, 1, (0, 1.0))
    assert [tally.slot for tally in read_tallies(tmp_path)] == [3]


def test_without_a_place_to_count_nobody_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "metrics"
    place.write_text("no directory")
    tallies = Tallies(place, "web")
    tallies.add(KEY, 1, (0, 1.0))
    tallies.begin()
    tallies.set(KEY, 1.0)
    assert list(read_tallies(place)) == []
    place.unlink()
    later = time.monotonic() + PAUSE_SECONDS
    monkeypatch.setattr("taskapi.core.tallies.time.monotonic", lambda: later)
    tallies.add(KEY, 1, (0, 1.0))
    assert total(place) == 1, "it is tried again"


def test_a_full_disk_is_noticed_before_anything_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskapi.core.tallies.os.pwrite", lambda _file, data, _at: len(data) // 2)
    tallies = Tallies(tmp_path, "web")
    tallies.add(KEY, 1, (0, 1.0))
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_where_no_file_can_be_locked_none_but_the_first_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("taskapi.core.tallies.fcntl.flock", refuse)
    tallies = Tallies(tmp_path, "web")
    tallies.add(KEY, 1, (0, 1.0))
    assert files(tmp_path) == ["slot-0"]


def test_a_file_that_is_cut_short_before_it_is_mapped_is_no_error_of_who_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_cut(descriptor: int, data: bytes, _at: int) -> int:
        os.ftruncate(descriptor, 100)
        return len(data)

    monkeypatch.setattr("taskapi.core.tallies.os.pwrite", write_and_cut)
    Tallies(tmp_path, "web").add(KEY, 1, (0, 1.0))
    assert total(tmp_path) == 0


def test_a_file_that_is_full_counts_on_what_it_knows(tmp_path: Path) -> None:
    tallies = Tallies(tmp_path, "web")
    tallies.add(KEY, 1, (0, 1.0))
    for number in range(200):
        tallies.add(("x" * 4000, str(number)), 1, (0, 1.0))
    tallies.add(KEY, 1, (0, 1.0))
    found = one(tmp_path)
    assert found.counted[KEY] == (2.0,)
    assert 100 < len(found.counted) < 200
