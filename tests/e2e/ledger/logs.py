"""What the processes of a trial logged of errors, and which of them none of its faults makes."""

import errno
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BEGINS = "Traceback (most recent call last):"
# What has lost its database, …
OF_DATABASE = re.compile(
    r"sqlalchemy\.exc\.(Operational|Interface|DBAPI|Disconnection|InvalidatePool)Error"
    # Who was stopped comes back to a transaction that is over, or to a connection that was given up; and
    # whoever waits for what it has locked is told so in the end.
    r"|psycopg\.errors\.(IdleInTransactionSessionTimeout|ConnectionTimeout|\w*Shutdown|CannotConnectNow|QueryCanceled)"
    r"|psycopg\.(OperationalError|InterfaceError)|taskapi\.core\.errors\.OutcomeUnknown"
)
# … its Redis, its mail server, or whoever it talked with.
OF_OTHERS = re.compile(
    r"redis\.exceptions\.(Connection|Timeout|BusyLoading)Error"
    r"|smtplib\.SMTP(ServerDisconnected|ConnectError|ResponseException|RecipientsRefused|DataError|HeloError)"
    r"|TimeoutError|(Connection\w*|BrokenPipe)Error"
)
# What a connection that broke says by its number; a process without descriptors or memory has others.
OF_CONNECTIONS = {
    getattr(errno, name)
    for name in (
        *("EPIPE", "ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "ENOTCONN", "ETIMEDOUT"),
        # The socket of a Redis that is not there.
        *("EHOSTUNREACH", "ENETUNREACH", "ENOENT"),
    )
}
OF_THE_DISK = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
# What is warned of in a line where a process was killed or stopped, …
OF_DEATHS = re.compile(
    r"lease\.lost|run\.(cancelled_without_its_worker|fenced|forced_to_stop|lost_its_worker)"
    r"|run\.outcome_left_to_scheduler|schedule\.completed_later|webhook\.taken_over|worker\.lost_job"
    r"|StartedJobRegistry cleanup: \S+ Moved to FailedJobRegistry, due to AbandonedJobError, .*"
    # Killed, or at its end by itself, as it was to stop what it did.
    r"|Work horse killed for job \S+ retpid=\d+, ret_val=(9|256)"
    r"|Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?",
    re.DOTALL,
)
# … where the database was away, …
OF_DATABASE_AWAY = re.compile(
    r"database\.(unavailable|waited_for|waiting)|lease\.beat_failed|metrics\.database_away|run\.settle_waits"
    r"|worker\.not_warm|error ignored terminating <psycopg\.Pipeline .*",
    re.DOTALL,
)
# … and where Redis, the mail server or time was short.
OF_THE_REST = re.compile(
    r"audit\.found|email\.postponed|enqueue\.put_off|mail\.fallback|redis\.away|runs\.requeued"
    r"|scheduler\.lost_redis|worker\.(lost_redis|not_told_of_commands|not_told_of_work|waiting_for_redis)"
    r"|Worker \S+ exception during pipeline execute or enqueue_dependents for job .*",
    re.DOTALL,
)
NOTHING = ("debug", "info")
# How an error is named that stands alone in a line, and where those are from that may.
NAME_OF_ERROR = re.compile(r"[A-Z]\w*(Error|Unknown|Unavailable|Exception)")
ROOMS = ("", "sqlalchemy.exc.", "taskapi.core.errors.", "redis.exceptions.", "smtplib.", "psycopg.")
# What is found of schedules that no server which is away makes.
OF_SCHEDULES = ("set_aside", "without_next_time")
# The name of an error; of one that wraps the driver's, that of the driver's; and its number.
ERROR = re.compile(
    r"^(?:(?:sqlalchemy\.exc\.\w+: )?\((?P<wrapped>psycopg\.[\w.]+)\)"
    r"|(?P<own>[A-Za-z_][\w.]*)(?:: (?:\[Errno (?P<number>\d+)\])?|:|$))",
    re.MULTILINE,
)


def unexplained_errors(
    logged: str, *, killed: bool = True, database_was_hurt: bool = True, disk_was_full: bool = False
) -> Iterator[str]:
    """What was warned of, and the last lines of tracebacks, that no server which is away makes.

    Args:
        logged: lines of JSON, and whatever else processes print.
        killed: whether processes were.
    """
    plain, hurt = [], _Hurt(processes=killed, database=database_was_hurt, disk=disk_was_full)
    for line in logged.splitlines():
        told = _as_json(line)
        if told is None:
            plain.append(line)
            continue
        texts = [value for value in told.values() if isinstance(value, str)]
        for text in texts:
            yield from _unexplained(text, hurt)
        if not any(BEGINS in text for text in texts) and not _is_expected(told, hurt):
            yield line
    yield from _unexplained("\n".join(plain), hurt)


@dataclass(frozen=True, slots=True)
class _Hurt:
    """What was hurt besides Redis and the mail server."""

    processes: bool
    database: bool
    disk: bool


def _is_expected(told: dict[str, Any], hurt: _Hurt) -> bool:
    """Whether a line without a traceback tells of nothing that it should not."""
    if told.get("level") in NOTHING:
        return True
    event = str(told.get("event"))
    if not _is_explained_in_short(str(told.get("error") or ""), hurt):
        return False
    if event == "audit.found":
        return not any(told.get(name) for name in OF_SCHEDULES)
    if event == "dispatch.batch_failed":
        error = told["error"].partition(":")[0]
        rooms = ("sqlalchemy.exc", "taskapi.core.errors")
        return any(_is_explained(f"{room}.{error}", hurt) for room in rooms)
    return bool(
        OF_THE_REST.fullmatch(event)
        or (hurt.processes and OF_DEATHS.fullmatch(event))
        or (hurt.database and OF_DATABASE_AWAY.fullmatch(event))
        or (hurt.disk and event == "storage.disk_failed")
    )


def _is_explained_in_short(text: str, hurt: _Hurt) -> bool:
    """Of the name of an error, or of the driver's words; what others say in their own words is explained."""
    found = ERROR.match(text)
    if found is None or not (found["wrapped"] or NAME_OF_ERROR.fullmatch(found["own"])):
        return True
    if found["wrapped"]:
        return _is_explained(found["wrapped"], hurt)
    return any(_is_explained(f"{room}{found['own']}", hurt, found["number"]) for room in ROOMS)


def _is_explained(name: str, hurt: _Hurt, number: str | None = None) -> bool:
    if name == "OSError":
        wanted = OF_CONNECTIONS | (OF_THE_DISK if hurt.disk else set())
        return number is not None and int(number) in wanted
    return bool(OF_OTHERS.fullmatch(name) or (hurt.database and OF_DATABASE.fullmatch(name)))


def warned_of(logged: str) -> set[str]:
    """The events that were warned of."""
    lines = (_as_json(line) for line in logged.splitlines())
    return {str(told.get("event")) for told in lines if told and told.get("level") not in NOTHING}


def _as_json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return told


def _unexplained(text: str, hurt: _Hurt) -> Iterator[str]:
    _, *tracebacks = text.split(BEGINS)
    for traceback in tracebacks:
        # Of a chain each has its own; lines of the code stand further in.
        error = ERROR.search(traceback)
        if error is None or not _is_explained(error["wrapped"] or error["own"], hurt, error["number"]):
            yield traceback[-1000:]
