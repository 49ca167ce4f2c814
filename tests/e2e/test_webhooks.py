"""Webhooks of a real installation, whose workers are killed in the middle of their calls."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.installation import ApiUser, Installation, wait_for

pytestmark = pytest.mark.e2e

TASKS, FATAL = 30, 5


class Receiver(ThreadingHTTPServer):
    """Keeps the ids and titles that come; one of the calls is never answered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.told: list[tuple[str, str]] = []
        self.fatal_call = threading.Event()


class Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.headers["webhook-id"], body["data"]["title"]))
        if len(self.server.told) == FATAL:
            self.server.fatal_call.set()
            self.rfile.read(1)
            return
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nothing: pytest shows what failed."""


@pytest.mark.soak
def test_killed_workers_lose_nothing_and_mix_up_nothing(installation: Installation) -> None:
    installation.environment["WEBHOOK_ALLOW_PRIVATE"] = "1"
    installation.start_all("web", "worker-1", "worker-2", "scheduler-1")
    user = ApiUser(installation.url, "ada@example.org")
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/"
        user.post("/webhooks", {"url": url, "events": ["task.created"]})
        titles = [f"task {number}" for number in range(TASKS)]
        user.post("/tasks/bulk", {"tasks": [{"title": title} for title in titles]})
        assert receiver.fatal_call.wait(20)
        for worker in ("worker-1", "worker-2"):
            installation.kill(worker)
            time.sleep(0.2)
            installation.start(worker)
        wait_for(lambda: len(dict(receiver.told)) == TASKS, seconds=60, what="every delivery")
        receiver.shutdown()
    assert list(dict(receiver.told).values()) == titles
    # What was in the air is repeated under its id, and nothing else.
    assert len(receiver.told) == TASKS + 1
    assert receiver.told[FATAL - 1] == receiver.told[FATAL]
