"""Who may call what: every route is in this table, and the table is the truth."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.access import PUBLIC, Access, access_of

PUBLIC_ROUTES = {
    "GET /health",
    "GET /api/health",
    "GET /api/health/ready",
    # Its token is METRICS_TOKEN, which the room checks.
    "GET /metrics",
    # The token is the password of HTTP Basic, which the view checks.
    "GET /admin/rq",
    "GET /admin/rq/<path:path>",
    # The token in the path is the permission.
    "GET /ping/<token>",
    "POST /ping/<token>",
    "GET /ping/<token>/fail",
    "POST /ping/<token>/fail",
    "GET /calendar/<token>.ics",
    # They judge the token themselves: a bad one is told by the code that closes the connection.
    "GET /ws",
    "GET /ws/<token>",
    "GET /openapi.json",
    "GET /docs",
    "GET /redoc",
    "GET /docs/assets/<path:name>",
    "GET /problems/<code>",
    "POST /api/auth/register",
    "POST /api/auth/login",
    # Its token is the refresh token, which the service checks.
    "POST /api/auth/refresh",
    # Who forgot their password cannot sign in; the token is the mailed one, which the service checks.
    "POST /api/auth/password-reset",
    "POST /api/auth/password-reset/confirm",
    "GET /api/auth/password-reset/confirm",
    "POST /api/auth/verify-email",
    "GET /api/auth/verify-email",
    "GET /api/auth/assets/<path:filename>",
    # Their token, signed by us, stands in the link.
    "GET /api/notifications/unsubscribe/<token>",
    "POST /api/notifications/unsubscribe/<token>",
}
READ = {
    "GET /api/auth/me",
    "GET /api/auth/users",
    "GET /api/calendar/feeds",
    "GET /api/calendar/feeds/<uuid:feed_id>",
    "GET /api/actions",
    "GET /api/schedules",
    "GET /api/schedules/<uuid:schedule_id>",
    "GET /api/schedules/<uuid:schedule_id>/preview",
    "GET /api/schedules/<uuid:schedule_id>/runs",
    "GET /api/schedules/<uuid:schedule_id>/backfills",
    "GET /api/schedules/<uuid:schedule_id>/backfills/<uuid:backfill_id>",
    # It saves nothing.
    "POST /api/schedules/preview",
    "GET /api/runs",
    "GET /api/runs/<uuid:run_id>",
    "GET /api/runs/<uuid:run_id>/log",
    "GET /api/changes",
    "GET /api/webhooks",
    "GET /api/webhooks/<uuid:webhook_id>",
    "GET /api/webhooks/<uuid:webhook_id>/deliveries",
    "GET /api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
    "GET /api/files",
    "GET /api/files/<uuid:file_id>",
    "GET /api/files/<uuid:file_id>/content",
    "GET /api/analytics",
    "GET /api/analytics/overview",
    "GET /api/analytics/performance",
    "GET /api/analytics/trends",
    "GET /api/analytics/runs",
    "GET /api/analytics/export",
    "GET /api/tasks",
    "GET /api/tasks/<uuid:task_id>",
    "GET /api/tasks/<uuid:task_id>/history",
    "GET /api/tasks/<uuid:task_id>/comments",
    "GET /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>",
    "GET /api/tasks/<uuid:task_id>/files",
    "GET /api/tasks/<uuid:task_id>/files/<uuid:file_id>",
    "GET /api/tags",
    "GET /api/tags/<uuid:tag_id>",
    "GET /api/tasks/imports",
    "GET /api/tasks/imports/<uuid:import_id>",
    "GET /api/notifications",
    "GET /api/notifications/unread-count",
    "GET /api/events",
}
WRITE = {
    "PUT /api/auth/me",
    "PATCH /api/auth/me",
    "POST /api/schedules",
    "PUT /api/schedules/<uuid:schedule_id>",
    "PATCH /api/schedules/<uuid:schedule_id>",
    "DELETE /api/schedules/<uuid:schedule_id>",
    "POST /api/schedules/<uuid:schedule_id>/pause",
    "POST /api/schedules/<uuid:schedule_id>/resume",
    "POST /api/schedules/<uuid:schedule_id>/cancel",
    "POST /api/schedules/<uuid:schedule_id>/skip",
    "POST /api/schedules/<uuid:schedule_id>/run",
    "POST /api/schedules/<uuid:schedule_id>/backfill",
    "POST /api/schedules/<uuid:schedule_id>/backfills/<uuid:backfill_id>/cancel",
    "POST /api/runs/<uuid:run_id>/cancel",
    "POST /api/runs/<uuid:run_id>/retry",
    "POST /api/runs/retry",
    "POST /api/files",
    "POST /api/files/raw",
    "DELETE /api/files/<uuid:file_id>",
    # It notes what it finds.
    "POST /api/files/<uuid:file_id>/verify",
    "POST /api/tasks",
    "POST /api/tasks/bulk",
    "PUT /api/tasks/<uuid:task_id>",
    "PATCH /api/tasks/<uuid:task_id>",
    "DELETE /api/tasks/<uuid:task_id>",
    "POST /api/tasks/<uuid:task_id>/restore",
    "PUT /api/tasks/by-external-id/<path:external_id>",
    "POST /api/tasks/<uuid:task_id>/comments",
    "PUT /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>",
    "PATCH /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>",
    "DELETE /api/tasks/<uuid:task_id>/comments/<uuid:comment_id>",
    "POST /api/tasks/<uuid:task_id>/files",
    "DELETE /api/tasks/<uuid:task_id>/files/<uuid:file_id>",
    "POST /api/tags",
    "DELETE /api/calendar/feeds/<uuid:feed_id>",
    "PUT /api/tags/<uuid:tag_id>",
    "PATCH /api/tags/<uuid:tag_id>",
    "DELETE /api/tags/<uuid:tag_id>",
    "POST /api/tasks/import",
    "DELETE /api/webhooks/<uuid:webhook_id>",
    "POST /api/webhooks/<uuid:webhook_id>/rotate-secret",
    "POST /api/webhooks/<uuid:webhook_id>/test",
    "POST /api/webhooks/<uuid:webhook_id>/redeliver",
    "POST /api/tasks/imports/<uuid:import_id>/undo",
    "PUT /api/notifications/read-all",
    "PUT /api/notifications/<uuid:notification_id>/read",
}
# What they set up, or answer, tells what one has not made.
WRITE_AND_READ = {
    "POST /api/calendar/feeds",
    "POST /api/webhooks",
    "PUT /api/webhooks/<uuid:webhook_id>",
    "PATCH /api/webhooks/<uuid:webhook_id>",
    "POST /api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver",
}
SIGNED_IN = {
    "POST /api/auth/me/password",
    "POST /api/auth/verify-email/resend",
    "POST /api/auth/logout",
    "POST /api/auth/logout-all",
    "DELETE /api/auth/me",
    "GET /api/auth/sessions",
    "GET /api/auth/sessions/<uuid:session_id>",
    "DELETE /api/auth/sessions/<uuid:session_id>",
    "POST /api/auth/tokens",
    "GET /api/auth/tokens",
    "GET /api/auth/tokens/<uuid:token_id>",
    "DELETE /api/auth/tokens/<uuid:token_id>",
    "GET /api/auth/me/second-factor",
    "POST /api/auth/me/second-factor",
    "DELETE /api/auth/me/second-factor",
    "POST /api/auth/me/second-factor/confirm",
    "POST /api/auth/me/second-factor/recovery-codes",
}
ADMIN = {
    "GET /api/admin/users",
    "POST /api/admin/users",
    "GET /api/admin/users/<uuid:user_id>",
    "PUT /api/admin/users/<uuid:user_id>",
    "PATCH /api/admin/users/<uuid:user_id>",
    "DELETE /api/admin/users/<uuid:user_id>",
    "GET /api/admin/users/<uuid:user_id>/deletion",
    "GET /api/admin/tasks",
    "DELETE /api/admin/tasks/<uuid:task_id>",
    "GET /api/admin/schedules",
    "POST /api/admin/schedules/<uuid:schedule_id>/cancel",
    "GET /api/admin/runs",
    "GET /api/admin/stats",
    "GET /api/admin/audit",
    "GET /api/admin/audit/export",
    "GET /api/admin/queues",
}
TABLE = {
    **dict.fromkeys(PUBLIC_ROUTES, PUBLIC),
    **dict.fromkeys(READ, Access("read")),
    **dict.fromkeys(WRITE, Access("write")),
    **dict.fromkeys(WRITE_AND_READ, Access("write", also="read")),
    **dict.fromkeys(SIGNED_IN, Access(None, session=True)),
    **dict.fromkeys(ADMIN, Access("admin")),
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


@pytest.mark.one_database
@pytest.mark.parametrize("route", CLOSED)
def test_a_closed_route_refuses_who_is_not_signed_in(client: FlaskClient, route: str) -> None:
    method, path = route.split(" ")
    path = re.sub(r"<uuid:\w+>", "01999999-0000-7000-8000-000000000000", path)
    assert client.open(path, method=method).status_code == 401
