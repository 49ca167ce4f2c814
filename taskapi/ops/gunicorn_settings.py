"""How gunicorn serves the application: ``gunicorn -c python:taskapi.ops.gunicorn_settings``.

Gunicorn reads the names of its settings from this module. What is not set here keeps gunicorn's
default; above all, requests that are not proper HTTP are refused.
"""

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from taskapi.config import load_settings
from taskapi.environment import ConfigError
from taskapi.ops.undertaker import MARKER_VARIABLE

# Threads of a worker: each serves one request at a time.
THREADS = 16
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (gunicorn makes unnamed files there)

try:
    _settings = load_settings()
except ConfigError as error:
    raise SystemExit(f"taskapi: {error}") from None


class StandardLogger(Logger):
    """Sends gunicorn's own lines where the application's lines go."""

    def setup(self, cfg: Any) -> None:
        """Hand gunicorn's lines to the root logger, which the application configures."""
        from taskapi.core.logging import configure_logging

        super().setup(cfg)
        configure_logging(_settings, process="web")
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


def on_starting(_server: Any) -> None:
    """Prepare the master for what its workers need when they are forked."""
    from taskapi.ops.gunicorn_worker import keep_signals_over_forks

    keep_signals_over_forks()


def pre_exec(_server: Any) -> None:
    """Let a new master (SIGUSR2) hear signals: what is blocked stays so in a new program."""
    from taskapi.ops.gunicorn_worker import hear_signals

    hear_signals()


def post_fork(_server: Any, worker: Any) -> None:
    """Give a new worker its own database connections: a connection must not be shared by two."""
    from taskapi.core.db import dispose_engines

    with worker.app.wsgi().app_context():
        dispose_engines()


_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = f"{_host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "taskapi.ops.gunicorn_worker.Worker"
threads = THREADS
preload_app = True
keepalive = 5
timeout = 60
# Requests in progress end by themselves: below `flask up`, which kills after four seconds, large uploads
# and downloads break off; a service manager gives them longer (Heroku and Kubernetes 30 s).
graceful_timeout = 3 if MARKER_VARIABLE in os.environ else 20
max_requests = 0
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Gunicorn believes nobody who says on whose behalf they ask, or that they were asked by https:
# the application decides that by TRUSTED_PROXIES.
forwarded_allow_ips = ""
logger_class = StandardLogger
# The application logs the requests itself.
accesslog = None
errorlog = "-"
control_socket_disable = True
if SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK):
    # Workers prove there that they are alive; on a disk that can hang they would be killed.
    worker_tmp_dir = str(SHARED_MEMORY)
