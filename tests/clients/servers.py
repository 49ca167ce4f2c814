"""Servers on this machine that answer byte by byte what a test wants, and names that lead to them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

Behaviour = Callable[[socket.socket], None]


@contextmanager
def raw_server(behave: Behaviour) -> Iterator[int]:
    """Does ``behave`` with each connection once the request has begun to come; the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, behave))
    thread.start()
    yield listener.getsockname()[1]
    # Closing alone does not wake a thread that waits in accept().
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def _serve(listener: socket.socket, behave: Behaviour) -> None:
    while True:
        try:
            connection, _address = listener.accept()
        except OSError:
            return
        # The client hangs up on what it does not like.
        with connection, suppress(OSError):
            connection.settimeout(5)
            connection.recv(65_536)
            behave(connection)


def saying(*parts: bytes, repeat: int = 1, pause: float = 0.0) -> Behaviour:
    """Send the parts, the last one ``repeat`` times with a pause before each, and hang up."""

    def behave(connection: socket.socket) -> None:
        for part in parts[:-1]:
            connection.sendall(part)
        for _ in range(repeat):
            if pause:
                threading.Event().wait(pause)
            connection.sendall(parts[-1])

    return behave


def silent(connection: socket.socket) -> None:
    """Say nothing until the client hangs up."""
    while connection.recv(65_536):
        pass


class Names:
    """A name server that a test writes: each lookup takes the next answer, the last one stays."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.asked: list[str] = []

    def look_up(self, host: str, port: int, *_args: Any, **_kwargs: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [self._entry(address, port) for address in answer]

    @staticmethod
    def _entry(address: str, port: int) -> Any:
        if ":" in address:
            return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
        return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> "Names":
        names = cls()
        names.answers = list(answers)
        monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
        return names
