"""What several tests of accounts do."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.people import PASSWORD


def register(client: FlaskClient, email: str = "new@example.org", **fields: Any) -> TestResponse:
    return client.post("/api/auth/register", json={"email": email, "password": PASSWORD, **fields})


def log_in(client: FlaskClient, login: str, password: str = PASSWORD) -> TestResponse:
    return client.post("/api/auth/login", json={"email": login, "password": password})


def exchange(client: FlaskClient, refresh_token: str) -> TestResponse:
    return client.post("/api/auth/refresh", headers={"Authorization": f"Bearer {refresh_token}"})


def show_me(client: FlaskClient, access_token: str) -> TestResponse:
    return client.get("/api/auth/me", headers={"Authorization": f"Bearer {access_token}"})


def body(answer: TestResponse) -> dict[str, Any]:
    """The JSON object of an answer."""
    assert isinstance(answer.json, dict), answer.text
    return answer.json


def code(answer: TestResponse) -> tuple[int, str]:
    """Status and code of a problem."""
    return answer.status_code, body(answer)["code"]


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
