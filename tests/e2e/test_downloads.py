"""Downloads from a real server: what is damaged breaks off, and a slow client holds nothing up."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.installation import START_SECONDS, ApiUser, Installation, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("installation", ["postgresql"], indirect=True)]

MIB = 1_048_576
LINES = b"".join(b"%15d\n" % number for number in range(8 * MIB // 16))
SLOW_CLIENTS = 3


@pytest.fixture
def user(installation: Installation) -> ApiUser:
    """Of a server that has one connection to its database, and a thread more than slow clients."""
    installation.environment |= {"DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "0", "WEB_CONCURRENCY": "1"}
    installation.start("web")
    return wait_for(lambda: _registered(installation), seconds=START_SECONDS, what="the start")  # type: ignore[no-any-return]


def _registered(installation: Installation) -> ApiUser | None:
    try:
        return ApiUser(installation.url, "olivia@example.org")
    except requests.ConnectionError:
        return None


def test_a_download_is_whole_or_breaks_off(installation: Installation, user: ApiUser) -> None:
    sent = user.session.post(f"{user.url}/files/raw?filename=numbers.txt", data=LINES, timeout=30)
    path = f"{user.url}/files/{sent.json()['id']}/content"
    assert user.session.get(path, timeout=30).content == LINES
    slow = [_begin(path, user) for _ in range(SLOW_CLIENTS)]
    assert user.session.get(path, headers={"Range": "bytes=-16"}, timeout=5).content == LINES[-16:]
    for client in slow:
        client.close()
    _flip_a_byte(installation.folder, at=6 * MIB)
    received: list[bytes] = []
    with (
        user.session.get(path, timeout=30, stream=True) as answer,
        pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"),
    ):
        received.extend(answer.iter_content(65536))
    assert (answer.status_code, b"".join(received)) == (200, LINES[: 6 * MIB])
    assert user.session.get(path, timeout=30).json()["code"] == "file_damaged"


def _begin(url: str, user: ApiUser) -> socket.socket:
    """Ask for the content and read only how the answer begins."""
    address = urlsplit(url)
    client = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10)
    head = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
    client.sendall(f"{head}Authorization: {user.session.headers['Authorization']}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def _flip_a_byte(folder: Path, *, at: int) -> None:
    (stored,) = (path for path in (folder / "files").glob("??/??/*") if path.stat().st_size == len(LINES))
    with stored.open("r+b") as file:
        file.seek(at)
        file.write(b"?")
