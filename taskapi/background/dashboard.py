"""rq-dashboard, to look only: it is given this application's Redis, reads JSON, and tells no secrets.

What is queued is a hint for workers; the truth is in the database, where `flask admin runs` acts on it.
So nothing can be deleted or queued again here, and no foreign page can make a browser do so.
"""

import re
import secrets
from typing import Any, cast

from flask import Flask, Response, current_app, request
from redis.exceptions import RedisError
from rq import Queue as RqQueue
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer
from werkzeug import Response as WsgiResponse

from taskapi.background.connection import RedisUnavailable, redis_client
from taskapi.background.shown_jobs import ShownJob
from taskapi.core.errors import NotFound

# Its pages, its figures and its files. What changes something has other paths.
SHOWN = re.compile(r"|static/.+|favicon\.ico|0/(view|data)/.+")
POLL_MILLISECONDS = 5000
ASSETS_SECONDS = 86_400
# Its templates are compiled by underscore, in the browser; its styles stand in attributes.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
# The buttons of what is refused.
HIDDEN = (
    b"<style>#compact-btn, #requeue-all-btn, #requeue-job-btn, [data-role$=requeue-job-btn]"
    b" {display: none !important}</style>"
)


class ShownQueue(RqQueue):
    """A queue of such jobs."""

    job_class = ShownJob

    def __init__(self, name: str = "default", connection: Any = None, **options: Any) -> None:
        super().__init__(name, connection, **{**options, "serializer": JSONSerializer, "job_class": ShownJob})


class ShownWorker(Worker):
    """A worker on such jobs."""

    job_class = ShownJob
    queue_class: Any = ShownQueue


def show(path: str) -> Response:
    """What rq-dashboard answers for a path of its own, to the request that is being served.

    Raises:
        NotFound, RedisUnavailable
    """
    if not SHOWN.fullmatch(path):
        raise NotFound("Nothing is shown here.")
    dashboard = _dashboard()
    here = request.script_root + "/admin/rq"
    environ = {**request.environ, "SCRIPT_NAME": here, "PATH_INFO": f"/{path}"}
    try:
        response = WsgiResponse.from_app(dashboard, environ, buffered=True)
    except RedisError as error:
        raise RedisUnavailable from error
    except (NoSuchJobError, LookupError, NameError, ValueError, ArithmeticError) as error:
        # It checks neither numbers nor names in its paths.
        raise NotFound("Nothing is shown here.") from error
    if response.status_code == NotFound.status:
        raise NotFound("Nothing is shown here.")
    if response.mimetype == "text/html":
        _restrict(response)
    return cast(Response, Response.force_type(response))


def _restrict(page: WsgiResponse) -> None:
    """Let the page run its own scripts, and nothing else."""
    nonce = secrets.token_urlsafe(16)
    html = page.get_data().replace(b"<script", f'<script nonce="{nonce}"'.encode())
    page.set_data(html.replace(b"</head>", HIDDEN + b"</head>"))
    page.headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)


def _dashboard() -> Any:
    # Several threads may make one at the same time; all are alike.
    found: Any = current_app.extensions.get("taskapi_dashboard")
    if found is None:
        found = current_app.extensions["taskapi_dashboard"] = _make_dashboard()
    found.redis_conn = redis_client()
    return found


def _make_dashboard() -> Any:
    # Not before somebody looks: other processes need not pay for it.
    from rq_dashboard import web

    # Else it reads pickles, by which who can write to Redis could run code here.
    web.config.serializer = JSONSerializer
    web.Job, web.Queue, web.Worker = ShownJob, ShownQueue, ShownWorker
    # It would open connections by the URL of Redis; ours are there, and the URL has a password.
    web.blueprint.before_request_funcs.clear()
    dashboard = Flask(web.__name__, static_folder="static")
    dashboard.url_map.redirect_defaults = False
    dashboard.config.update(
        RQ_DASHBOARD_REDIS_URL=("Redis",),
        RQ_DASHBOARD_DISABLE_DELETE=True,
        RQ_DASHBOARD_POLL_INTERVAL=POLL_MILLISECONDS,
        SEND_FILE_MAX_AGE_DEFAULT=ASSETS_SECONDS,
        # Errors are answered by the application around it.
        PROPAGATE_EXCEPTIONS=True,
    )
    dashboard.register_blueprint(web.blueprint)
    return dashboard
