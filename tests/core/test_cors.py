"""Pages of listed sites may call the API from a browser, others may not."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Maker = Callable[..., Flask]
SITE, OTHER_SITE = "https://app.example.org", "http://[::1]:3000"


@pytest.fixture
def client(app_with: Maker) -> FlaskClient:
    return app_with(CORS_ORIGINS=f"{SITE}, {OTHER_SITE}", RATE_LIMIT_DEFAULT="20/minute").test_client()


def get(client: FlaskClient, origin: str, path: str = "/probe/things/1") -> TestResponse:
    return client.get(path, headers={"Origin": origin})


def preflight(
    client: FlaskClient, origin: str = SITE, method: str = "PATCH", headers: str = "authorization"
) -> TestResponse:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options("/probe/things", headers={"Origin": origin, **asked})


def of_cors(answer: TestResponse) -> set[str]:
    return {name for name, _ in answer.headers if name.startswith("Access-Control-")}


def words(answer: TestResponse, name: str) -> set[str]:
    return set(answer.headers[name].split(", "))


@pytest.mark.parametrize("origin", [SITE, OTHER_SITE])
def test_a_listed_site_may_read_the_answer(client: FlaskClient, origin: str) -> None:
    answer = get(client, origin)
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [origin]
    assert {"ETag", "Link", "Location", "X-Request-ID", "Retry-After", "WWW-Authenticate"} <= words(
        answer, "Access-Control-Expose-Headers"
    )
    assert {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Idempotent-Replayed"} <= words(
        answer, "Access-Control-Expose-Headers"
    )


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example.org",
        f"{SITE}.evil.example",
        f"{SITE}:8443",
        "https://appxexample.org",
        "https://evil.example/https://app.example.org",
        "null",
        "",
    ],
)
def test_another_origin_or_null_is_told_nothing(client: FlaskClient, origin: str) -> None:
    """A site that is not listed gets no Access-Control-Allow-Origin."""
    for answer in (get(client, origin), preflight(client, origin)):
        assert of_cors(answer) == set()
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("names", ["*", f"*, {SITE}"])
@pytest.mark.parametrize("origin", [SITE, "https://any.example"])
def test_a_star_allows_any_site_but_never_credentials(app_with: Maker, names: str, origin: str) -> None:
    client = app_with(CORS_ORIGINS=names).test_client()
    for answer in (get(client, origin), preflight(client, origin)):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert of_cors(get(client, "null")) == of_cors(preflight(client, "null")) == set()


def test_without_sites_nothing_is_said_of_them(app_with: Maker) -> None:
    client = app_with().test_client()
    for answer in (get(client, SITE), preflight(client)):
        assert of_cors(answer) == set()
        assert "Vary" not in answer.headers


def test_a_preflight_tells_what_may_be_sent(client: FlaskClient) -> None:
    sent = (
        "authorization, content-type, if-match, if-none-match, idempotency-key, x-request-id, last-event-id"
    )
    answer = preflight(client, headers=f"{sent}, x-evil")
    assert (answer.status_code, answer.headers["Access-Control-Max-Age"]) == (200, "600")
    assert words(answer, "Access-Control-Allow-Headers") == set(sent.split(", "))
    assert words(answer, "Access-Control-Allow-Methods") == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_preflights_need_no_token_and_are_not_counted(client: FlaskClient) -> None:
    answers = [client.options("/probe/read", headers={"Origin": SITE}) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {200}


def refusals(client: FlaskClient) -> Iterator[tuple[int, str]]:
    yield from [(401, "/probe/read"), (404, "/nowhere"), (422, "/probe/things?zzz=1"), (500, "/probe/bug")]


def test_a_page_can_read_errors_too(client: FlaskClient) -> None:
    for status, path in refusals(client):
        answer = get(client, SITE, path)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, SITE)
    answers = [get(client, SITE) for _ in range(20)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers.getlist("Access-Control-Allow-Origin") == [SITE]


def test_a_private_network_is_not_opened_to_sites_outside(client: FlaskClient) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"}
    answer = client.options("/probe/read", headers={"Origin": SITE, **asked})
    assert answer.headers["Access-Control-Allow-Private-Network"] == "false"
