"""What the processes of a trial logged of errors, and which of them none of its faults makes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BEGINS = "Traceback (most recent call last):"
# What has lost its database, …
OF_DATABASE = re.compile(
    r"sqlalchemy\.exc\.(Operational|Interface|DBAPI|Disconnection|InvalidatePool)Error"
    # Who was stopped in the middle of a transaction comes back to one that is over.
    r"|psycopg\.errors\.IdleInTransactionSessionTimeout"
    r"|psycopg\.(OperationalError|InterfaceError)|psycopg\.errors\.\w*Shutdown"
    r"|taskapi\.core\.errors\.OutcomeUnknown"
)
# … its Redis, its mail server, or whoever it talked with.
OF_OTHERS = re.compile(
    r"redis\.exceptions\.(Connection|Timeout|BusyLoading)Error"
    r"|smtplib\.SMTP(ServerDisconnected|ConnectError|ResponseException|RecipientsRefused|DataError|HeloError)"
    r"|OSError|TimeoutError|(Connection\w*|BrokenPipe)Error"
)
# What is warned of in a line where somebody was killed, stopped, cut off or too slow.
WARNED_OF = frozenset(
    {
        *("database.unavailable", "database.waited_for", "database.waiting", "email.postponed"),
        *("enqueue.put_off", "lease.beat_failed", "lease.lost", "mail.fallback", "metrics.database_away"),
        *("redis.away", "request.failed", "run.cancelled_without_its_worker", "run.fenced"),
        *("run.forced_to_stop", "run.lost_its_worker", "run.outcome_left_to_scheduler", "run.settle_waits"),
        *("runs.requeued", "schedule.completed_later", "scheduler.lost_redis", "webhook.taken_over"),
        *("worker.lost_job", "worker.lost_redis", "worker.not_told_of_work", "worker.not_warm"),
        "worker.waiting_for_redis",
    }
)
# The same by libraries, and what the scheduler finds late when it goes over everything.
WARNED_OF_IN_WORDS = re.compile(
    r"audit\.found|StartedJobRegistry cleanup: \S+ Moved to FailedJobRegistry, due to AbandonedJobError, .*"
    r"|Worker \S+ could not connect to Redis instance: .*|Work horse killed for job \S+ retpid=\d+, ret_val=9"
    r"|Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?|WORKER TIMEOUT \(pid:\d+\)"
    r"|error ignored terminating <psycopg\.Pipeline .*",
    re.DOTALL,
)
NOTHING = ("debug", "info")
# The name of an error; of one that wraps the driver's, that of the driver's.
ERROR = re.compile(
    r"^(?:sqlalchemy\.exc\.InternalError: \((?P<wrapped>[\w.]+)\)|(?P<own>[A-Za-z_][\w.]*)(?::|$))",
    re.MULTILINE,
)


def unexplained_errors(
    logged: str, *, database_was_hurt: bool = True, disk_was_full: bool = False
) -> Iterator[str]:
    """What was warned of, and the last lines of tracebacks, that no server which is away makes.

    Args:
        logged: lines of JSON, and whatever else processes print.
    """
    plain, hurt = [], _Hurt(database=database_was_hurt, disk=disk_was_full)
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
    """What was hurt besides processes, Redis and the mail server."""

    database: bool
    disk: bool


def _is_expected(told: dict[str, Any], hurt: _Hurt) -> bool:
    """Whether a line without a traceback tells of nothing that it should not."""
    if told.get("level") in NOTHING:
        return True
    if told.get("event") == "dispatch.batch_failed":
        return _is_explained(f"sqlalchemy.exc.{told['error'].partition(':')[0]}", hurt)
    event = str(told.get("event"))
    if event == "storage.disk_failed":
        return hurt.disk
    return event in WARNED_OF or bool(WARNED_OF_IN_WORDS.fullmatch(event))


def _is_explained(name: str, hurt: _Hurt) -> bool:
    return bool(OF_OTHERS.fullmatch(name) or (hurt.database and OF_DATABASE.fullmatch(name)))


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
        if error is None or not _is_explained(error["wrapped"] or error["own"], hurt):
            yield traceback[-1000:]
