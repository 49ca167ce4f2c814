"""Short ways to make webhooks in tests, and to see what they were told."""

from typing import Any
from uuid import UUID

from flask import Flask
from pytest_httpserver import HTTPServer
from standardwebhooks.webhooks import Webhook as Verifier
from werkzeug import Request, Response

from taskapi.events import jobs
from taskapi.events.service import relay_events
from tests.people import Person
from tests.work import run_jobs


class Inbox:
    """A receiver that keeps what comes, and answers as a test wants.

    Attributes:
        statuses: of the next answers, the last one stays.
        headers, body: of every answer.
    """

    def __init__(self, server: HTTPServer, path: str) -> None:
        self.url = server.url_for(path)
        self.statuses = [200]
        self.headers: dict[str, str] = {}
        self.body = b"thank you"
        self.requests: list[Request] = []
        server.expect_request(path).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(self.body, status=status, headers=self.headers)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.get_json() for request in self.requests]

    @property
    def types(self) -> list[str]:
        return [body["type"] for body in self.bodies]

    @property
    def titles(self) -> list[str]:
        """What the tasks that it was told of are called."""
        return [body["data"]["title"] for body in self.bodies]

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    def clear(self) -> None:
        self.requests.clear()


def subscribe(person: Person, url: str, *events: str, **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/webhooks", {"url": url, "events": list(events or ["task.*"]), **fields})
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json
    return webhook


def path_of(webhook: dict[str, Any], *more: str) -> str:
    return "/".join(["/api/webhooks", webhook["id"], *more])


def send(app: Flask) -> None:
    """Relay what happened, and do all that is to be done for webhooks now."""
    with app.app_context():
        relay_events()
    run_jobs(app)


def sweep(app: Flask) -> None:
    """What housekeeping does every few seconds, and the jobs that come of it."""
    with app.app_context():
        jobs.sweep_webhooks()
    run_jobs(app)


def work_on(app: Flask, webhook: dict[str, Any]) -> None:
    """What a worker does whose job the queue brings, whatever else is queued."""
    with app.app_context():
        jobs.send_webhook(str(UUID(webhook["id"])))


def log_of(person: Person, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The deliveries, oldest first."""
    answer = person.get(path_of(webhook, "deliveries"), query_string={"sort": "created_at", **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def detail_of(person: Person, webhook: dict[str, Any], delivery: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = person.get(path_of(webhook, "deliveries", delivery["id"])).json
    return found


def get(person: Person, webhook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = person.get(path_of(webhook)).json
    return found


def verify(secret: str, request: Request) -> dict[str, Any]:
    """The body, if the library of the standard takes the signature; it raises else."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    body: dict[str, Any] = Verifier(secret).verify(request.get_data(), headers)
    return body
