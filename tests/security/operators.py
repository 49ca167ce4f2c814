"""What fails with the operator's own secrets; each way gives back those that it was done with."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from flask import Flask
from flask.testing import FlaskClient
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from taskapi.clients import mail
from taskapi.clients.mail import init_mail
from taskapi.clients.storage.s3 import S3Storage
from taskapi.clients.weather import make_weather
from taskapi.config import MailSettings
from tests.accounts.helpers import bearer
from tests.files.making import store
from tests.files.uploading import upload
from tests.people import Person
from tests.s3 import bucket_settings
from tests.settings import settings_changed
from tests.smtp import MailServer
from tests.tasks.making import make_task
from tests.work import tick

METRICS, WEATHER, SENDGRID = "marked-metrics-token", "marked-weather-key", "marked-sendgrid-key"
S3_ID, S3_KEY, S3_SESSION = "MARKED-S3-KEY-ID", "marked-s3-secret-key", "marked-s3-session-token"
NOWHERE = "http://127.0.0.1:1"
# As Amazon answers who signs badly.
REFUSAL = f"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{S3_ID}</AWSAccessKeyId></Error>"


def ask_for_figures(app: Flask, client: FlaskClient) -> list[str]:
    with settings_changed(app, metrics_token=METRICS):
        shown = [METRICS, f"{METRICS}-mistyped", ""]
        statuses = [client.get("/metrics", headers=bearer(token)).status_code for token in shown]
        client.get(f"/metrics?token={METRICS}")
        client.get("/api/tasks", headers=bearer(METRICS))
    assert statuses == [200, 401, 401]
    return [METRICS]


def lose_the_weather(app: Flask, person: Person, server: HTTPServer) -> list[str]:
    """A provider that is not there, one that quotes the key, and one that sends it on."""
    keys: list[str] = []

    def refuse(request: Request) -> Response:
        keys.append(request.args["appid"])
        elsewhere = {"Location": f"/elsewhere?appid={keys[-1]}"}
        return Response(f"Invalid API key {keys[-1]}", 302 if len(keys) > 1 else 401, elsewhere)

    server.expect_request("/clouds/data/2.5/weather").respond_with_handler(refuse)
    refusing = server.url_for("/clouds")
    before = app.extensions["taskapi_weather"]
    for number, base in enumerate((NOWHERE, refusing, refusing)):
        settings = replace(
            app.extensions["taskapi_settings"], openweather_api_key=WEATHER, weather_base_url=base
        )
        app.extensions["taskapi_weather"] = make_weather(settings)
        assert make_task(person, city=f"Paris {number}")["weather"] is None
        tick(app)
    app.extensions["taskapi_weather"] = before
    assert WEATHER in keys
    return [WEATHER]


@contextmanager
def refusing_relay() -> Iterator[tuple[int, list[bytes]]]:
    """Lets nobody sign in; its port, and the passwords that it was shown."""
    shown: list[bytes] = []

    def refuse(*given: Any) -> AuthResult:
        shown.append(given[-1].password)
        return AuthResult(success=False, handled=False)

    server = MailServer()
    server.SMTP_kwargs.update(authenticator=refuse, auth_require_tls=False)
    server.start()
    try:
        yield server.port, shown
    finally:
        server.stop()


def lose_sendgrid(app: Flask, person: Person, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A relay that refuses the key."""
    settings = app.extensions["taskapi_settings"]
    with refusing_relay() as (port, keys), monkeypatch.context() as patched:
        patched.setattr(mail, "SENDGRID", MailSettings(server="127.0.0.1", port=port, username="apikey"))
        init_mail(app, replace(settings, mail=MailSettings(sendgrid_api_key=SENDGRID)))
        person.client.post("/api/auth/password-reset", json={"email": person.email})
        tick(app)
    init_mail(app, settings)
    assert set(keys) == {SENDGRID.encode()}
    return [SENDGRID]


@contextmanager
def stored_at(app: Flask, url: str, folder: Path) -> Iterator[None]:
    before: Any = app.extensions["taskapi_storage"]
    settings = bucket_settings(url, folder, access_key_id=S3_ID, secret_access_key=S3_KEY)
    app.extensions["taskapi_storage"] = S3Storage(replace(settings, session_token=S3_SESSION))
    yield
    app.extensions["taskapi_storage"] = before


def lose_the_store(app: Flask, person: Person, server: HTTPServer, folder: Path) -> list[str]:
    """A bucket that refuses the keys, and quotes them."""
    signed: list[str] = []

    def refuse(request: Request) -> Response:
        signed.append(request.headers["Authorization"])
        return Response(REFUSAL, 403, content_type="application/xml")

    server.expect_request(re.compile("/s3/.*")).respond_with_handler(refuse)
    file_id = store(person)
    with stored_at(app, server.url_for("/s3"), folder):
        assert upload(person).status_code == 503
        assert person.get(f"/api/files/{file_id}/content").status_code == 503
        assert person.delete(f"/api/files/{file_id}").status_code == 204
        tick(app)
    assert S3_ID in signed[0]
    return [S3_ID, S3_KEY, S3_SESSION]
