"""What arrives byte by byte: bodies without a length, without an end, or longer than they say."""

import hashlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.installation import START_SECONDS, ApiUser, Installation, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("installation", ["sqlite"], indirect=True)]

HEAD = b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNK = b"8000\r\n" + b" " * 0x8000 + b"\r\n"


@pytest.fixture
def web(installation: Installation) -> Installation:
    installation.start("web")
    wait_for(
        lambda: ask(installation, b"GET /health HTTP/1.0\r\n\r\n")[0] == 200,
        seconds=START_SECONDS,
        what="health",
    )
    return installation


def ask(web: Installation, *parts: bytes) -> tuple[int, dict[str, object]]:
    """Send a request in parts; the answer's status and JSON."""
    try:
        with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
            for part in parts:
                connection.sendall(part)
            return read_answer(connection)
    except ConnectionRefusedError:
        return 0, {}


def read_answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    head, _, body = b"".join(received(connection)).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


def received(connection: socket.socket) -> Iterator[bytes]:
    """Everything until the server closes, or the body that it announced is there."""
    data = b""
    while True:
        part = connection.recv(65536)
        yield part
        data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not part or (lengths and len(body) >= int(lengths[0].split(b":")[1])):
            return


LOGIN = b'{"username": "nobody", "password": "wrong"}'
IN_CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CASES: dict[str, tuple[list[bytes], int, str]] = {
    "no length is no body": ([HEAD + b"\r\n"], 400, "malformed_json"),
    "a body in chunks": (
        [IN_CHUNKS, b"%x\r\n%s\r\n0\r\n\r\n" % (len(LOGIN), LOGIN)],
        401,
        "invalid_credentials",
    ),
    # Cut at the limit it would be a fine body.
    "too long in chunks": (
        [IN_CHUNKS, b"2\r\n{}\r\n", CHUNK * 40, b"0\r\n\r\n"],
        413,
        "content_too_large",
    ),
    "too much announced": ([HEAD + b"Content-Length: 1048577\r\n\r\n", b" "], 413, "content_too_large"),
    "two hosts": ([b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"], 400, "bad_request"),
}


def test_each_gets_its_answer_at_once(web: Installation) -> None:
    for name, (parts, status, code) in CASES.items():
        before = time.monotonic()
        answer, problem = ask(web, *parts)
        assert (answer, problem["code"]) == (status, code), name
        assert time.monotonic() - before < 5, name


def test_who_asks_whether_to_go_on_is_told(web: Installation) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert read_answer(connection)[0] == 422


def upload_head(web: Installation, *fields: str) -> bytes:
    """The head of an upload by somebody new."""
    user = ApiUser(web.url, f"olivia{time.monotonic_ns()}@example.org")
    lines = [
        "POST /api/files/raw?filename=a.txt HTTP/1.1",
        "Host: localhost",
        f"Authorization: {user.session.headers['Authorization']}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_uploads_are_received_or_ended_whatever_their_length(web: Installation) -> None:
    in_chunks = upload_head(web, "Transfer-Encoding: chunked")
    chunks = CHUNK * 100
    status, file = ask(web, in_chunks, chunks[:100_001], chunks[100_001:], b"0\r\n\r\n")
    assert (status, file.get("size")) == (201, 0x8000 * 100), file
    assert file["sha256"] == hashlib.sha256(b" " * 0x8000 * 100).hexdigest()
    too_large = (413, "file_too_large")
    status, problem = ask(web, in_chunks, *[CHUNK * 33] * 10)
    assert (status, problem["code"]) == too_large
    status, problem = ask(web, upload_head(web, "Content-Length: 99999999999"))
    assert (status, problem["code"]) == too_large
    assert incoming(web) == []


def test_a_client_that_vanishes_in_the_middle_leaves_nothing(web: Installation) -> None:
    for field in ("Content-Length: 5000000", "Transfer-Encoding: chunked"):
        head = upload_head(web, field)
        with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
            connection.sendall(head + CHUNK * 20)
            wait_for(lambda: incoming(web), seconds=30, what="the beginning of the upload")
        wait_for(lambda: incoming(web) == [], seconds=30, what="the end of the upload")
    wait_for(lambda: web.log_text().count('"status":408') == 2, seconds=30, what="the lines in the log")
    assert "Traceback" not in web.log_text()


def incoming(web: Installation) -> list[str]:
    """What lies where contents are gathered."""
    return [path.name for path in (web.folder / "files" / "incoming").glob("*")]
