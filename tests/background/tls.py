"""A TLS server in front of a socket, as the hosts of managed Redis servers have one."""

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import trustme


@contextmanager
def encrypted(path: str) -> Iterator[int]:
    """Pass on what comes in by TLS, with an unknown certificate, to a Unix socket; gives the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("redis.example.org").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = Thread(target=_accept, args=(listener, context, path), daemon=True)
        accepting.start()
        yield int(listener.getsockname()[1])
        # Wakes who waits for the next client.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    accepting.join(5)


def _accept(listener: socket.socket, context: ssl.SSLContext, path: str) -> None:
    with suppress(OSError):
        while True:
            raw, _ = listener.accept()
            Thread(target=_serve, args=(raw, context, path), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, path: str) -> None:
    # A client that does not trust the certificate says so and goes.
    with (
        suppress(OSError),
        context.wrap_socket(raw, server_side=True) as client,
        socket.socket(socket.AF_UNIX) as server,
    ):
        server.connect(path)
        while _pass_on(client, server):
            pass


def _pass_on(client: ssl.SSLSocket, server: socket.socket) -> bool:
    """Pass on what has come; tell whether both are still there."""
    # What was decrypted already is not seen by select().
    ready = [client] if client.pending() else select.select([client, server], [], [])[0]
    for source in ready:
        data = source.recv(65_536)
        if not data:
            return False
        (server if source is client else client).sendall(data)
    return True
