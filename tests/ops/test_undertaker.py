"""What the undertaker does when the leader is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taskapi.ops import undertaker
from taskapi.ops.undertaker import MARKER_VARIABLE, bury, find_strays, is_alive, send, watch

DEAF = """
import signal, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def start(program: str, marker: str = "none") -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-S", "-c", program],
        env={MARKER_VARIABLE: marker},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def test_it_knows_the_children_that_are_left_when_the_leader_falls_silent() -> None:
    assert watch([b"+11\n", b"+12\n", b"-11\n", b"+13\n"]) == {12, 13}


def test_a_goodbye_leaves_it_nothing_to_do() -> None:
    assert watch([b"+11\n", b"goodbye\n"]) is None


def test_who_ends_when_asked_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undertaker, "GRACE_SECONDS", 20.0)
    with start("import time; time.sleep(60)") as process:
        before = time.monotonic()
        bury([process.pid], "nobody")
        assert time.monotonic() - before < 10
        assert process.wait() == -signal.SIGTERM


def test_who_does_not_listen_is_killed_after_two_seconds() -> None:
    with start(DEAF) as process:
        assert process.stdout is not None
        process.stdout.readline()
        bury([process.pid], "nobody")
        assert process.wait() == -signal.SIGKILL


def test_a_stray_is_found_by_its_marker_and_killed() -> None:
    with start("import time; time.sleep(60)", marker="stray-7") as process:
        assert find_strays("stray-7") == [process.pid]
        assert find_strays("stray-70") == []
        bury([], "stray-7")
        assert process.wait() == -signal.SIGKILL


def test_a_zombie_does_not_count_as_alive() -> None:
    with start("pass") as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert send(os.kill, process.pid, 0)
        assert not is_alive(process.pid)


def test_it_runs_where_the_package_cannot_be_seen(tmp_path: Path) -> None:
    script = Path(sys.modules[bury.__module__].__file__ or "")
    lock = tmp_path / "lock"
    lock.write_text("1\n")
    with lock.open("r+") as file, start("import time; time.sleep(60)") as orphan:
        subprocess.run(
            [sys.executable, "-I", "-S", script, str(file.fileno()), "nobody"],
            input=f"+{orphan.pid}\n".encode(),
            pass_fds=[file.fileno()],
            cwd=tmp_path,
            check=True,
            timeout=10,
        )
        assert orphan.wait() == -signal.SIGTERM
    assert lock.read_text() == ""
