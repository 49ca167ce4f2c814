"""What the processes of a trial logged of errors, and which of them none of its faults makes."""

import errno
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
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
# … its Redis, …
OF_REDIS = re.compile(r"redis\.exceptions\.(Connection|Timeout|BusyLoading)Error")
# … its mail server, …
OF_MAIL = re.compile(
    r"smtplib\.SMTP(ServerDisconnected|ConnectError|ResponseException|RecipientsRefused|DataError|HeloError)"
)
# … or whoever it talked with.
OF_ANYBODY = re.compile(r"TimeoutError|(Connection\w*|BrokenPipe)Error")
# Somebody keeps what all share: no server that is away does that.
OF_THE_POOL = "QueuePool limit"
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
    # Killed, or at its end by itself, as it was to stop what it did.
    r"|Work horse killed for job \S+ retpid=\d+, ret_val=(9|256)"
    r"|Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?",
    re.DOTALL,
)
# … which may be found out much later, …
OF_OLD_DEATHS = re.compile(
    r"StartedJobRegistry cleanup: \S+ Moved to FailedJobRegistry, due to AbandonedJobError, .*", re.DOTALL
)
# … where the database was away, …
OF_DATABASE_AWAY = re.compile(
    r"database\.(unavailable|waited_for|waiting)|lease\.beat_failed|metrics\.database_away|run\.settle_waits"
    r"|worker\.not_warm|error ignored terminating <psycopg\.Pipeline .*",
    re.DOTALL,
)
# … where Redis was, …
OF_REDIS_AWAY = re.compile(
    r"enqueue\.put_off|redis\.away|scheduler\.lost_redis"
    r"|worker\.(lost_redis|not_told_of_commands|not_told_of_work|waiting_for_redis)"
    r"|Worker \S+ exception during pipeline execute or enqueue_dependents for job .*",
    re.DOTALL,
)
# … or the mail server.
OF_MAIL_AWAY = re.compile(r"email\.postponed|mail\.fallback")
# What is warned of when a run was put into no queue: Redis was away, or who should have done it is dead.
REQUEUED = "runs.requeued"
# Of these the error is one of the database, and named by its last word alone.
OF_DATABASE_ALONE = re.compile(
    r"database\.waited_for|lease\.beat_failed|run\.(settle_waits|outcome_left_to_scheduler)"
    r"|schedule\.completed_later"
)
NOTHING = ("debug", "info")
# How an error is named that stands alone in a line, and where those are from that may.
NAME_OF_ERROR = re.compile(r"[A-Z]\w*(Error|Unknown|Unavailable|Exception)")
ROOMS_OF_DATABASE = ("sqlalchemy.exc.", "taskapi.core.errors.", "psycopg.")
ROOMS = ("", *ROOMS_OF_DATABASE, "redis.exceptions.", "smtplib.")
# What is found of schedules that no server which is away makes.
OF_SCHEDULES = ("set_aside", "without_next_time")
# The name of an error; of one that wraps the driver's, that of the driver's; and its number.
ERROR = re.compile(
    r"^(?:(?:sqlalchemy\.exc\.\w+: )?\((?P<wrapped>psycopg\.[\w.]+)\)"
    r"|(?P<own>[A-Za-z_][\w.]*)(?:: (?:\[Errno (?P<number>\d+)\])?|:|$))",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hurt:
    """What was.

    Attributes:
        ever: at any time, as some find out late.
    """

    processes: bool = False
    database: bool = False
    redis: bool = False
    mail: bool = False
    disk: bool = False
    ever: bool = True

    @property
    def anybody(self) -> bool:
        return self.processes or self.database or self.redis or self.mail


def unexplained_errors(
    logged: str, *, killed: bool = True, database_was_hurt: bool = True, disk_was_full: bool = False
) -> Iterator[str]:
    """What was warned of, and the last lines of tracebacks, that no server which is away makes.

    Args:
        logged: lines of JSON, and whatever else processes print.
        killed: whether processes were.
    """
    hurt = Hurt(processes=killed, database=database_was_hurt, redis=True, mail=True, disk=disk_was_full)
    return unexplained_by(logged, lambda _moment: hurt)


def unexplained_by(logged: str, hurt_at: Callable[[float | None], Hurt]) -> Iterator[str]:
    """What was warned of, and the last lines of tracebacks, that nothing which was hurt by then makes.

    Args:
        hurt_at: what was, at some moment in seconds since 1970; None asks for all that ever was.
    """
    plain = []
    for line in logged.splitlines():
        told = _as_json(line)
        if told is None:
            plain.append(line)
        elif told.get("level") not in NOTHING or BEGINS in line:
            yield from _unexplained_in(line, told, hurt_at(_moment_of(told)))
    yield from _unexplained("\n".join(plain), hurt_at(None))


def _moment_of(told: dict[str, Any]) -> float | None:
    moment = told.get("timestamp")
    return datetime.fromisoformat(moment).timestamp() if moment else None


def _unexplained_in(line: str, told: dict[str, Any], hurt: Hurt) -> Iterator[str]:
    texts = [value for value in told.values() if isinstance(value, str)]
    for text in texts:
        yield from _unexplained(text, hurt)
    if not any(BEGINS in text for text in texts) and not _is_expected(told, hurt):
        yield line


def _is_expected(told: dict[str, Any], hurt: Hurt) -> bool:
    """Whether a line without a traceback tells of nothing that it should not."""
    event, error = str(told.get("event")), str(told.get("error") or "")
    rooms = ROOMS_OF_DATABASE if OF_DATABASE_ALONE.fullmatch(event) else ROOMS
    if not _is_explained_in_short(error, hurt, rooms):
        return False
    if event == "audit.found":
        return hurt.ever and not any(told.get(name) for name in OF_SCHEDULES)
    if event == "dispatch.batch_failed":
        name = error.partition(":")[0]
        return any(_is_explained(f"{room}{name}", hurt) for room in ROOMS_OF_DATABASE)
    return _is_warned_of(event, hurt)


def _is_warned_of(event: str, hurt: Hurt) -> bool:
    """Whether something of what was hurt is warned of so."""
    by_whom = (
        (OF_DEATHS, hurt.processes),
        (OF_OLD_DEATHS, hurt.ever),
        (OF_DATABASE_AWAY, hurt.database),
        (OF_REDIS_AWAY, hurt.redis),
        (OF_MAIL_AWAY, hurt.mail),
    )
    if event == REQUEUED:
        return hurt.redis or hurt.processes
    if event == "storage.disk_failed":
        return hurt.disk
    return any(was_hurt and pattern.fullmatch(event) for pattern, was_hurt in by_whom)


def _is_explained_in_short(text: str, hurt: Hurt, rooms: Sequence[str] = ROOMS) -> bool:
    """Of the name of an error, or of the driver's words; what others say in their own words is explained."""
    if OF_THE_POOL in text:
        return False
    found = ERROR.match(text)
    if found is None:
        return True
    whole = found["wrapped"] or (found["own"] if _is_whole(found["own"]) else None)
    if whole:
        return _is_explained(whole, hurt)
    if not NAME_OF_ERROR.fullmatch(found["own"]):
        return True
    return any(_is_explained(f"{room}{found['own']}", hurt, found["number"]) for room in rooms)


def _is_whole(name: str) -> bool:
    """Whether it is the name of an error with its room."""
    return name.startswith(ROOMS[1:]) and name[-1] != "."


def _is_explained(name: str, hurt: Hurt, number: str | None = None) -> bool:
    if name == "OSError":
        wanted = (OF_CONNECTIONS if hurt.anybody else set()) | (OF_THE_DISK if hurt.disk else set())
        return number is not None and int(number) in wanted
    by_whom = (
        (OF_DATABASE, hurt.database),
        (OF_REDIS, hurt.redis),
        (OF_MAIL, hurt.mail),
        (OF_ANYBODY, hurt.anybody),
    )
    return any(was_hurt and pattern.fullmatch(name) for pattern, was_hurt in by_whom)


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


def _unexplained(text: str, hurt: Hurt) -> Iterator[str]:
    _, *tracebacks = text.split(BEGINS)
    for traceback in tracebacks:
        # Of a chain each has its own; lines of the code stand further in.
        error = ERROR.search(traceback)
        if error is None or not _is_explained(error["wrapped"] or error["own"], hurt, error["number"]):
            yield traceback[-1000:]
