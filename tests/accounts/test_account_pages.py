"""GET /api/auth/password-reset/confirm and /api/auth/verify-email: the pages that mailed links lead to"""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.links import CONFIRM, VERIFY, reset, reset_token
from tests.people import Person
from tests.settings import settings_changed
from tests.smtp import MailServer

PAGES = [CONFIRM, VERIFY]
SCRIPT = "/api/auth/assets/account-page.js"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shows_its_form_and_loads_all_from_here(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert page.text.count("<form") == 1
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 2
    assert {client.get(asset, buffered=True).status_code for asset in assets} == {200}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_but_the_own_file_and_may_not_be_framed(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    policy = page.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self';", "form-action 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page.text)


@pytest.mark.parametrize("path", PAGES)
def test_the_address_of_a_page_is_sent_to_nobody_and_kept_by_no_cache(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "private, no-cache")


def test_opening_the_link_uses_nothing_up(
    app: Flask, client: FlaskClient, owner: Person, mail_server: MailServer
) -> None:
    """A link scanner runs no script, and what stands behind the # is not sent."""
    token = reset_token(app, mail_server, owner)
    for method in ("GET", "HEAD"):
        assert client.open(f"{CONFIRM}#token={token}", method=method).status_code == 200
    assert reset(client, token).status_code == 204


def test_a_token_in_the_query_is_refused(client: FlaskClient) -> None:
    assert client.get(f"{CONFIRM}?token=tvr_x").status_code == 422


def test_a_name_of_the_installation_stays_text(app: Flask, client: FlaskClient) -> None:
    with settings_changed(app, app_name="<b>Tea</b>"):
        assert "<b>Tea" not in client.get(VERIFY).text


def test_the_assets_are_found_below_a_path_of_a_proxy(app: Flask, client: FlaskClient) -> None:
    with settings_changed(app, public_url="https://example.org/tasks"):
        assert f'src="/tasks{SCRIPT}"' in client.get(CONFIRM).text


@pytest.mark.parametrize(("name", "kind"), [("js", "text/javascript"), ("css", "text/css")])
def test_an_asset_is_what_it_says(client: FlaskClient, name: str, kind: str) -> None:
    asset = client.get(f"/api/auth/assets/account-page.{name}", buffered=True)
    assert asset.mimetype == kind
    assert asset.headers["X-Content-Type-Options"] == "nosniff"
    # An update of the application is not mixed with a script of before.
    assert asset.cache_control.no_cache


@pytest.mark.parametrize("name", ["nonsense.js", "..%2Fviews.py", "%2e%2e/views.py"])
def test_nothing_else_is_an_asset(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/api/auth/assets/{name}")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
