"""``flask up`` from start to end, with a Procfile of small programs."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from redis import ConnectionError as RedisConnectionError
from redis import Redis

from taskapi.ops.supervisor import INSIST_SECONDS, KILL_SECONDS, STOP_LAST_SECONDS, STOP_SECONDS
from tests.ops.conftest import GREETER, SLEEPER, Leader, processes_in, wait_until
from tests.timed import best_of

Start = Callable[..., Leader]

WEB = "web: python web.py\n"
WEB_PROGRAM = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""
# A worker with two descendants that have left its process group, one of them also its session.
FAMILY_PROGRAM = """
import os, signal, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgrp() if os.fork() == 0 else os.setsid()
print("family complete", flush=True)
time.sleep(600)
"""
# A worker that ends what it does when it is asked for the second time.
BUSY_PROGRAM = """
import signal, sys, time

asked = []

def on_signal(*_):
    asked.append(1)
    if len(asked) == 2:
        print("given back", flush=True)
        sys.exit()

signal.signal(signal.SIGTERM, on_signal)
print("busy", flush=True)
while True:
    time.sleep(0.1)
"""

RELEASE_PROGRAM = """
import sqlite3

sqlite3.connect("var/taskapi.db").executescript(
    "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0007')"
)
print("released")
"""


def redis_client(directory: Path) -> Redis:
    return Redis(unix_socket_path=str(directory / "var/redis/valkey.sock"))


def test_it_releases_first_then_starts_all_and_says_where_everything_is(
    start_leader: Start, tmp_path: Path
) -> None:
    (tmp_path / "web.py").write_text(WEB_PROGRAM)
    leader = start_leader(f"""release: python -c "print('migrated')"\n{WEB}worker: {GREETER}\n""")
    leader.wait_for("here")
    # The worker comes last: loading together, they would keep the first answer waiting.
    order = [leader.output.index(text) for text in ("migrated", "is ready at", "here")]
    assert order == sorted(order)
    assert f"http://127.0.0.1:{leader.port}/docs" in leader.output
    assert f"written to {tmp_path}/var/mail/*.eml" in leader.output
    assert "taskapi admin users create --admin" in leader.output
    with redis_client(tmp_path) as client:
        assert client.ping()


def test_ctrl_c_stops_all_within_five_seconds_although_a_process_ignores_it(
    start_leader: Start, tmp_path: Path
) -> None:
    (tmp_path / "family.py").write_text(FAMILY_PROGRAM)
    leader = start_leader(f"worker: python family.py\nother: {SLEEPER}\n")
    leader.wait_for("family complete", count=3)
    # What it allows itself leaves a little of five seconds; a busy machine may take more.
    assert STOP_SECONDS + INSIST_SECONDS + STOP_LAST_SECONDS + KILL_SECONDS < 5
    before = time.monotonic()
    assert leader.stop(signal.SIGINT) == 0
    assert time.monotonic() - before < 9
    assert "worker does not end: it is killed" in leader.output
    assert processes_in(tmp_path) == {}


def test_sigterm_stops_obedient_processes_at_once(start_leader: Start, tmp_path: Path) -> None:
    def seconds() -> float:
        leader = start_leader(f"worker: {GREETER}\n")
        leader.wait_for("here")
        before = time.monotonic()
        assert leader.stop(signal.SIGTERM) == 0
        taken = time.monotonic() - before
        assert processes_in(tmp_path) == {}
        return taken

    assert best_of(3, seconds, enough=3) < 3


def test_who_does_not_end_is_asked_once_more_before_it_is_killed(start_leader: Start, tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(BUSY_PROGRAM)
    leader = start_leader("worker: python busy.py\n")
    leader.wait_for("busy")
    assert leader.stop(signal.SIGTERM) == 0
    assert "given back" in leader.output
    assert "killed" not in leader.output


def test_kill_9_of_the_leader_leaves_no_process_behind(start_leader: Start, tmp_path: Path) -> None:
    (tmp_path / "family.py").write_text(FAMILY_PROGRAM)
    leader = start_leader("worker: python family.py\n")
    leader.wait_for("family complete", count=3)
    assert any("valkey.sock" in command for command in processes_in(tmp_path).values())
    leader.stop(signal.SIGKILL)
    wait_until(lambda: processes_in(tmp_path) == {}, seconds=20)


def test_a_new_leader_waits_until_a_killed_one_is_buried(start_leader: Start, tmp_path: Path) -> None:
    (tmp_path / "family.py").write_text(FAMILY_PROGRAM)
    first = start_leader("worker: python family.py\n")
    first.wait_for("family complete", count=3)
    left = processes_in(tmp_path).keys() - {first.process.pid}
    first.stop(signal.SIGKILL)
    second = start_leader()
    second.wait_for("family complete", count=3)
    assert not left & processes_in(tmp_path).keys()


def test_a_second_leader_is_refused_and_the_first_goes_on(start_leader: Start, tmp_path: Path) -> None:
    first = start_leader(f"worker: {GREETER}\n")
    first.wait_for("here")
    second = start_leader()
    assert second.wait() == 1
    assert second.output == (
        f"taskapi: already running for {tmp_path}/var: process {first.process.pid}"
        f" at http://127.0.0.1:{first.port}\n"
    )
    assert first.process.poll() is None
    with redis_client(tmp_path) as client:
        assert client.ping()


def test_a_taken_port_is_one_clear_line_before_anything_starts(start_leader: Start, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        leader = start_leader(f"worker: {SLEEPER}\n", PORT=str(port))
        assert leader.wait() == 1
    assert leader.output == (
        f"taskapi: cannot listen on 127.0.0.1 port {port} (HOST, PORT): Address already in use\n"
    )
    assert not (tmp_path / "var/redis").exists()


def test_a_failed_release_stops_everything_with_a_clear_line(start_leader: Start, tmp_path: Path) -> None:
    leader = start_leader('release: python -c "raise SystemExit(7)"\nworker: touch started\n')
    assert leader.wait() == 1
    assert "taskapi: the release step ended with exit code 7: nothing else was started\n" in leader.output
    assert not (tmp_path / "started").exists()
    assert processes_in(tmp_path) == {}


def test_the_release_step_is_left_out_when_the_database_is_current(
    start_leader: Start, tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/__init__.py").touch()
    (tmp_path / "migrations/head").write_text("0007\n")
    (tmp_path / "release.py").write_text(RELEASE_PROGRAM)
    outputs = []
    procfile = f"release: python release.py\nworker: {GREETER}\n"
    for _ in range(2):
        leader = start_leader(procfile)
        leader.wait_for("here")
        leader.stop()
        outputs.append("released" in leader.output)
    assert outputs == [True, False]


def test_ctrl_c_during_the_release_step_ends_it(start_leader: Start, tmp_path: Path) -> None:
    leader = start_leader(f"release: {GREETER}\n")
    leader.wait_for("here")
    assert leader.stop() == 0
    assert processes_in(tmp_path) == {}


def test_a_setting_that_is_wrong_is_one_clear_line(start_leader: Start) -> None:
    leader = start_leader(f"worker: {SLEEPER}\n", LOG_LEVEL="loud")
    assert leader.wait() == 1
    assert leader.output == "taskapi: LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'loud'\n"


def test_a_killed_redis_is_started_again_with_its_data(start_leader: Start, tmp_path: Path) -> None:
    leader = start_leader(f"worker: {GREETER}\n")
    leader.wait_for("here")
    with redis_client(tmp_path) as client:
        client.set("kept", "yes")
        server = client.info("server")["process_id"]
    os.kill(server, signal.SIGKILL)
    leader.wait_for("redis was ended by signal 9 (Killed): starting it again in 0.5 s")
    with redis_client(tmp_path) as client:
        wait_until(lambda: answers(client))
        assert client.get("kept") == b"yes"


def test_a_killed_undertaker_is_replaced_and_its_successor_knows_all(
    start_leader: Start, tmp_path: Path
) -> None:
    leader = start_leader(f"worker: {GREETER}\n")
    leader.wait_for("here")
    first = undertakers(tmp_path)
    os.kill(first.pop(), signal.SIGKILL)
    wait_until(lambda: bool(undertakers(tmp_path) - first))
    leader.stop(signal.SIGKILL)
    wait_until(lambda: processes_in(tmp_path) == {}, seconds=20)


def undertakers(directory: Path) -> set[int]:
    return {pid for pid, command in processes_in(directory).items() if "undertaker.py" in command}


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False
