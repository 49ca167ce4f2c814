"""Who may call what: every route is in this table, and the table is the truth."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.access import PUBLIC, Access, access_of

PUBLIC_ROUTES = {
    "GET /health",
    "GET /api/health",
    "GET /api/health/ready",
    "GET /openapi.json",
    "GET /docs",
    "GET /redoc",
    "GET /docs/assets/<path:name>",
    "GET /problems/<code>",
    "POST /api/auth/register",
    "POST /api/auth/login",
    # Its token is the refresh token, which the service checks.
    "POST /api/auth/refresh",
    # Their token, signed by us, stands in the link.
    "GET /api/notifications/unsubscribe/<token>",
    "POST /api/notifications/unsubscribe/<token>",
}
ANY_TOKEN = {"POST /api/auth/logout", "POST /api/auth/logout-all"}
READ = {
    "GET /api/auth/me",
    "GET /api/actions",
    "GET /api/schedules",
    "GET /api/schedules/<uuid:schedule_id>",
    "GET /api/schedules/<uuid:schedule_id>/preview",
    "GET /api/schedules/<uuid:schedule_id>/runs",
    # It saves nothing.
    "POST /api/schedules/preview",
    "GET /api/runs",
    "GET /api/runs/<uuid:run_id>",
    "GET /api/runs/<uuid:run_id>/log",
    "GET /api/notifications",
    "GET /api/notifications/unread-count",
}
WRITE = {
    "PUT /api/auth/me",
    "PATCH /api/auth/me",
    "POST /api/schedules",
    "DELETE /api/schedules/<uuid:schedule_id>",
    "POST /api/schedules/<uuid:schedule_id>/pause",
    "POST /api/schedules/<uuid:schedule_id>/resume",
    "POST /api/schedules/<uuid:schedule_id>/cancel",
    "POST /api/schedules/<uuid:schedule_id>/run",
    "PUT /api/notifications/read-all",
    "PUT /api/notifications/<uuid:notification_id>/read",
}
TABLE = {
    **dict.fromkeys(PUBLIC_ROUTES, PUBLIC),
    **dict.fromkeys(ANY_TOKEN, Access(None)),
    **dict.fromkeys(READ, Access("read")),
    **dict.fromkeys(WRITE, Access("write")),
}
CLOSED = sorted(TABLE.keys() - PUBLIC_ROUTES)


def declared(app: Flask) -> dict[str, Access | None]:
    """Every route of the application with the access that it declares."""
    return {
        f"{method} {rule.rule}": access_of(rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_declares_the_access_that_the_table_says(context: Flask) -> None:
    assert declared(context) == TABLE


@pytest.mark.parametrize("route", CLOSED)
def test_a_closed_route_refuses_who_is_not_signed_in(client: FlaskClient, route: str) -> None:
    method, path = route.split(" ")
    for part in ("schedule_id", "run_id", "notification_id"):
        path = path.replace(f"<uuid:{part}>", "01999999-0000-7000-8000-000000000000")
    assert client.open(path, method=method).status_code == 401
