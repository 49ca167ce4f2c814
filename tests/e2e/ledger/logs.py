"""What the processes of a trial logged of errors, and which of them none of its faults makes."""

import json
import re
from collections.abc import Iterator
from typing import Any

BEGINS = "Traceback (most recent call last):"
# What has lost its database, its Redis, its mail server, or whoever it talked with.
EXPLAINED = re.compile(
    r"sqlalchemy\.exc\.(Operational|Interface|DBAPI|Disconnection|InvalidatePool)Error"
    # Who was stopped in the middle of a transaction comes back to one that is over.
    r"|psycopg\.errors\.IdleInTransactionSessionTimeout"
    r"|psycopg\.(OperationalError|InterfaceError)|psycopg\.errors\.\w*Shutdown|psycopg_pool\.\w+"
    r"|taskapi\.core\.errors\.OutcomeUnknown"
    r"|redis\.exceptions\.\w+|smtplib\.\w+"
    r"|OSError|TimeoutError|(Connection\w*|BrokenPipe)Error"
)
# The name of an error; of one that wraps the driver's, that of the driver's.
ERROR = re.compile(
    r"^(?:sqlalchemy\.exc\.InternalError: \((?P<wrapped>[\w.]+)\)|(?P<own>[A-Za-z_][\w.]*)(?::|$))",
    re.MULTILINE,
)


def unexplained_errors(logged: str) -> Iterator[str]:
    """The last lines of each traceback whose error is none that a server which is away makes.

    Args:
        logged: lines of JSON, and whatever else processes print.
    """
    plain = []
    for line in logged.splitlines():
        told = _as_json(line)
        if told is None:
            plain.append(line)
            continue
        for value in told.values():
            if isinstance(value, str):
                yield from _unexplained(value)
    yield from _unexplained("\n".join(plain))


def _as_json(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return told


def _unexplained(text: str) -> Iterator[str]:
    _, *tracebacks = text.split(BEGINS)
    for traceback in tracebacks:
        # Of a chain each has its own; lines of the code stand further in.
        error = ERROR.search(traceback)
        if error is None or not EXPLAINED.fullmatch(error["wrapped"] or error["own"]):
            yield traceback[-1000:]
