"""Structured logs, the same in web, worker and scheduler: one line per event, JSON or console.

Lines go to standard output and, if ``LOG_FILE`` is set, to a file that rotates. What was
bound with ``structlog.contextvars`` (request id, run id, user) is on every line.
"""

import fcntl
import logging
import logging.handlers
import os
import re
import sys
from collections.abc import MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from taskapi.config import Settings

MAX_FILE_BYTES = 10_000_000
KEPT_FILES = 5
HIDDEN = "***"
SECRET_NAMES = re.compile(r"password|secret|token|authorization|cookie|api_?key|dsn", re.IGNORECASE)
# What a message may carry without a name: bearer tokens, JWTs, our own tokens, a URL's password.
SECRET_VALUES = re.compile(
    r"(?i:bearer\s+)[\w.~+/=-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|ta[cpr]_[\w-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s\"]+(?=@)"
)


def redact(value: Any) -> Any:
    """A copy without secrets, by the names of fields and by the look of values."""
    if isinstance(value, str):
        return SECRET_VALUES.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {
            key: HIDDEN if SECRET_NAMES.search(str(key)) and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        key: HIDDEN if SECRET_NAMES.search(key) and value else redact(value) if key != "exc_info" else value
        for key, value in event.items()
    }


def _redact_text(_logger: Any, _method: str, rendered: str) -> str:
    # Tracebacks are text only after rendering, and may quote a URL with its password. Half of a
    # surrogate pair, which somebody may send, could not be written to any stream.
    return SECRET_VALUES.sub(HIDDEN, rendered).encode("utf-8", "backslashreplace").decode()


class SharedRotatingFileHandler(logging.handlers.RotatingFileHandler):
    """A rotating file that several processes may write: they rotate it under one lock.

    The standard handler renames the file under the other processes, which then go on
    writing into the renamed one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            with self._exclusive():
                if self._was_rotated_elsewhere() and self.stream is not None:
                    self.stream.close()
                    self.stream = self._open()
                super().emit(record)
        except OSError:
            # A full disk or a lost directory must not fail the work that wanted to say something.
            self.handleError(record)

    @contextmanager
    def _exclusive(self) -> Any:
        with open(f"{self.baseFilename}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _was_rotated_elsewhere(self) -> bool:
        try:
            on_disk = os.stat(self.baseFilename)
        except FileNotFoundError:
            return True
        mine = os.fstat(self.stream.fileno()) if self.stream is not None else on_disk
        return (on_disk.st_dev, on_disk.st_ino) != (mine.st_dev, mine.st_ino)


def configure_logging(settings: Settings, *, process: str, stream: TextIO | None = None) -> None:
    """Send everything, our own lines and those of the libraries, through one formatter.

    Args:
        process: ``web``, ``worker``, ``scheduler`` or ``cli``; it is on every line.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {**event, "process": process},
        _redact_event,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_handler(logging.StreamHandler(stream or sys.stdout), settings.log_format, shared)]
    if settings.log_file is not None:
        root.handlers.append(_handler(_open_file(settings.log_file), "json", shared))
    root.setLevel(settings.log_level)
    logging.getLogger("sqlalchemy.engine").setLevel("INFO" if settings.log_sql else "WARNING")
    for noisy in ("rq_scheduler", "alembic.runtime.plugins", "werkzeug"):
        logging.getLogger(noisy).setLevel("WARNING")


def _open_file(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return SharedRotatingFileHandler(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")


def _handler(handler: logging.Handler, log_format: str, shared: list[Any]) -> logging.Handler:
    renderer: list[Any]
    if log_format == "json":
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default formatter shows the local variables of each frame, and with them secrets.
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)]
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[remove_meta, *renderer, cast(Any, _redact_text)],
    )
    handler.setFormatter(formatter)
    return handler
