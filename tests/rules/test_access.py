"""Every route declares what the table says, and refuses who is not signed in."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.access import Access, access_of
from tests.rules.access_table import CLOSED, TABLE


def declared(app: Flask) -> dict[str, Access | None]:
    """Every route of the application with the access that it declares."""
    return {
        f"{method} {rule.rule}": access_of(rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_declares_the_access_that_the_table_says(context: Flask) -> None:
    assert declared(context) == TABLE


@pytest.mark.one_database
@pytest.mark.parametrize("route", CLOSED)
def test_a_closed_route_refuses_who_is_not_signed_in(client: FlaskClient, route: str) -> None:
    method, path = route.split(" ")
    path = re.sub(r"<uuid:\w+>", "01999999-0000-7000-8000-000000000000", path)
    assert client.open(path, method=method).status_code == 401
