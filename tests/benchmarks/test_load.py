"""The load generator asks, checks and counts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import Plan, request, run

pytestmark = pytest.mark.one_database


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet.
    wbufsize = 8192

    def do_GET(self) -> None:
        body = b'{"title": "Tea"}'
        self.send_response(200 if "right" in self.path else 404)
        self.send_header("Content-Length", str(len(body)))
        if "closes" in self.path:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def plan(port: int, path: str, contains: str = "Tea") -> Plan:
    requests = [request("GET", path, "token")]
    return Plan(port=port, connections=2, seconds=0.1, requests=requests, contains=contains)


def test_it_keeps_connections_that_the_server_keeps(port: int) -> None:
    result = run(plan(port, "/right"))
    assert result.answers > 2
    assert result.reconnects == 0
    assert 0 < result.p50 <= result.p99


def test_it_counts_how_often_it_connects_again(port: int) -> None:
    result = run(plan(port, "/right/closes"))
    assert result.reconnects == result.answers > 2


def test_a_wrong_status_ends_it(port: int) -> None:
    with pytest.raises(RuntimeError, match="answered 404"):
        run(plan(port, "/wrong"))


def test_a_wrong_body_ends_it(port: int) -> None:
    with pytest.raises(RuntimeError, match="is not in"):
        run(plan(port, "/right", contains="Coffee"))
