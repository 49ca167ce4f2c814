"""Structured logs, the same in web, worker and scheduler: one line per event, JSON or console.

Lines go to standard output and, if ``LOG_FILE`` is set, to a file that rotates. What was
bound with ``structlog.contextvars`` (request id, run id, user) is on every line.
"""

import fcntl
import json
import logging
import logging.handlers
import os
import re
import sys
from collections.abc import MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, cast

import orjson
import structlog

from taskapi.config import Settings
from taskapi.core.console import in_one_line

MAX_FILE_BYTES = 10_000_000
KEPT_FILES = 5
# Where less is left of a file, one process writes at a time.
SPARE_BYTES = 65_536
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
}
HIDDEN = "***"
SECRET_NAMES = re.compile(
    r"passw(or)?d|secret|token|authorization|x-auth|cookie|api[_-]?key|private[_-]?key|credential|dsn",
    re.IGNORECASE,
)
# What a message may carry without a name: bearer tokens, JWTs, our own tokens, a URL's password.
SECRET_VALUES = re.compile(
    r"(?i:bearer\s+)[\w.~+/=-]+|ta[cpr]_[\w-]{8,}|tv[er]_[\w-]{8,}"
    # Looked for once in each run of letters, or a text full of its beginnings would take very long.
    r"|(?<![\w-])(?=[\w-]+\.[\w-]+\.[\w-])[\w-]*?eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|whsec_[\w+/=-]{8,}|(?<=://)[^/\s:@]*:[^/\s\"]+(?=@)"
)


def redact(value: Any) -> Any:
    """A copy without secrets, by the names of fields and by the look of values."""
    if isinstance(value, str):
        return _redact_string(value)
    if isinstance(value, dict):
        return {
            key: HIDDEN if _names_secret(str(key)) and item else redact(item) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _names_secret(name: str) -> bool:
    return SECRET_NAMES.search(name) is not None


def _redact_string(text: str) -> str:
    return SECRET_VALUES.sub(HIDDEN, text) if _may_have_secret(text) else text


def _may_have_secret(text: str) -> bool:
    """Whether it has a part that each value of ``SECRET_VALUES`` has: a tenth of the pattern's cost."""
    return (
        "eyJ" in text
        or "://" in text
        or "tap_" in text
        or "tar_" in text
        or "tac_" in text
        or "tvr_" in text
        or "tve_" in text
        or "whsec_" in text
        or "bearer" in text.lower()
    )


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        key: HIDDEN if value and _names_secret(key) else redact(value) if key != "exc_info" else value
        for key, value in event.items()
    }


def _redact_text(_logger: Any, _method: str, rendered: str) -> str:
    # Tracebacks are text only after rendering, and may quote a URL with its password. Half of a
    # surrogate pair, which somebody may send, could not be written to any stream.
    return _redact_string(rendered).encode("utf-8", "backslashreplace").decode()


class SharedRotatingFileHandler(logging.handlers.RotatingFileHandler):
    """A rotating file that several processes may write: they rotate it under one lock.

    The standard handler renames the file under the other processes, which then go on
    writing into the renamed one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._has_room():
                # The system itself puts each line behind all others, whole: processes need not wait.
                logging.StreamHandler.emit(self, record)
                return
            with self._exclusive():
                if self._was_rotated_elsewhere() and self.stream is not None:
                    self.stream.close()
                    self.stream = self._open()
                super().emit(record)
        except OSError:
            # A full disk or a lost directory must not fail the work that wanted to say something.
            self.handleError(record)

    def _open(self) -> Any:
        stream = super()._open()
        self._opened = _identity(os.fstat(stream.fileno()))
        return stream

    def _has_room(self) -> bool:
        """Whether the file is where it was, and so far from full that nobody rotates it meanwhile."""
        try:
            on_disk = os.stat(self.baseFilename)
        except FileNotFoundError:
            return False
        is_far = not self.maxBytes or on_disk.st_size < self.maxBytes - min(SPARE_BYTES, self.maxBytes // 5)
        return is_far and self.stream is not None and _identity(on_disk) == self._opened

    @contextmanager
    def _exclusive(self) -> Any:
        with open(f"{self.baseFilename}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _was_rotated_elsewhere(self) -> bool:
        try:
            return _identity(os.stat(self.baseFilename)) != self._opened
        except FileNotFoundError:
            return True


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino


class Channel:
    """A logger of the standard library as structlog writes into it: lines are complete when they come."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        logger = logging.getLogger(name)
        self.is_enabled_for = logger.isEnabledFor
        self.debug = self.info = self.warning = self.error = self.exception = self.critical = logger.handle


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """Writes lines of ours as they are, and those of libraries like them."""

    def __init__(self, renderers: list[Any]) -> None:
        meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        super().__init__(foreign_pre_chain=SHARED, processors=[meta, *renderers])
        self._renderers = renderers

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.msg, dict):
            return super().format(record)
        # The console and the file mostly show the same: a line is written out once for both.
        known: dict[LineFormatter, str] = record.__dict__.setdefault("lines", {})
        if self not in known:
            known[self] = self._written(record)
        return known[self]

    def _written(self, record: logging.LogRecord) -> str:
        # Nothing is left to be found out, for which the standard formatter copies the record.
        line: Any = dict(cast(dict[str, Any], record.msg))
        for render in self._renderers:
            line = render(None, record.levelname, line)
        return cast(str, line)


def _filter_by_level(logger: Channel, method: str, event: MutableMapping[str, Any]) -> Any:
    if not logger.is_enabled_for(LEVELS[method]):
        raise structlog.DropEvent
    return event


def _add_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["process"] = _process
    return event


def _make_record(logger: Channel, method: str, event: Any) -> tuple[tuple[logging.LogRecord], dict[str, Any]]:
    # Nobody shows from which line of the source it came: to find that costs more than all the rest.
    return (logging.LogRecord(logger.name, LEVELS[method], "", 0, event, None, None),), {}


def log_request(logger: logging.Logger, fields: dict[str, Any]) -> None:
    """The one line that each request has."""
    log_often(logger, "request", fields)


def log_often(logger: logging.Logger, event: str, fields: dict[str, Any]) -> None:
    """``log.info(event, **fields)``, for a line that is written again and again, at half the cost.

    No field is named like a secret; how values look is judged in the line as it is written.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    line = {
        **structlog.contextvars.get_contextvars(),
        **fields,
        "event": event,
        "level": "info",
        "logger": logger.name,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "process": _process,
    }
    logger.handle(logging.LogRecord(logger.name, logging.INFO, "", 0, line, None, None))


def _write_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    try:
        line = orjson.dumps(event, default=repr, option=AS_REPR)
    except TypeError:
        # Numbers beyond 64 bits, keys that are no text, halves of surrogate pairs.
        return _json.encode(event)
    # Not every stream takes more than ASCII.
    return line.decode() if line.isascii() else _json.encode(orjson.loads(line))


_json = json.JSONEncoder(default=repr, separators=(",", ":"))
AS_REPR = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
# Of the whole process, as the lists below are: loggers keep what they have once found.
_process = "web"
SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _add_process,
    _redact_event,
]
PROCESSORS: list[Any] = [_filter_by_level, *SHARED, _make_record]


def configure_logging(settings: Settings, *, process: str, stream: TextIO | None = None) -> None:
    """Send everything, our own lines and those of the libraries, through one formatter.

    Args:
        process: ``web``, ``worker``, ``scheduler`` or ``cli``; it is on every line.
    """
    global _process
    _process = process
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=Channel,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    console = logging.StreamHandler(stream or sys.stdout)
    console.setFormatter(_formatter(settings.log_format))
    root.handlers[:] = [console]
    if settings.log_file is not None:
        file = _open_file(settings.log_file)
        file.setFormatter(console.formatter if settings.log_format == "json" else _formatter("json"))
        root.handlers.append(file)
    root.setLevel(settings.log_level)
    logging.getLogger("sqlalchemy.engine").setLevel("INFO" if settings.log_sql else "WARNING")
    for noisy in ("rq_scheduler", "alembic.runtime.plugins", "werkzeug"):
        logging.getLogger(noisy).setLevel("WARNING")


def _open_file(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return SharedRotatingFileHandler(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8")


def _formatter(log_format: str) -> LineFormatter:
    renderers: list[Any]
    if log_format == "json":
        renderers = [structlog.processors.format_exc_info, _write_json]
    else:
        # The default formatter shows the local variables of each frame, and with them secrets.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)
        renderers = [in_one_line, console]
    return LineFormatter([*renderers, _redact_text])
