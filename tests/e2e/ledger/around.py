"""Which faults may be felt at a moment: what is logged at another one, none of them makes."""

from collections.abc import Callable, Sequence

from tests.e2e.ledger.faults import Fault
from tests.e2e.ledger.logs import Hurt

# The clocks of who hurts and of who is hurt are one; but a fault is noted when it was done.
BEFORE_SECONDS = 1.0
# Who lost a server tries again every few seconds; a dead process is missed once its lease is over.
AFTER_SERVER_SECONDS, AFTER_PROCESS_SECONDS = 15.0, 30.0
PROCESSES = ("scheduler", "worker", "web", "work-horse")
DATABASE = ("PostgreSQL", "connections")


def hurt_around(faults: Sequence[Fault]) -> Callable[[float | None], Hurt]:
    """What was hurt at a moment, or shortly before; asked for None, at any time."""
    felt = [(fault, fault.began - BEFORE_SECONDS, _felt_until(fault, faults)) for fault in faults]

    def hurt_at(moment: float | None) -> Hurt:
        near = [fault.kind for fault, begin, end in felt if moment is None or begin <= moment <= end]
        return Hurt(
            processes=_any(near, *PROCESSES),
            # Who was stopped comes back to a database that has ended its transaction, and its locks.
            database=_any(near, *DATABASE) or any(kind.endswith("stopped") for kind in near),
            redis=_any(near, "Redis"),
            mail=_any(near, "mail"),
            ever=bool(faults),
        )

    return hurt_at


def _any(kinds: Sequence[str], *begin: str) -> bool:
    return any(kind.startswith(begin) for kind in kinds)


def _felt_until(fault: Fault, faults: Sequence[Fault]) -> float:
    """Who was stopped meanwhile feels it when they go on."""
    if fault.kind.startswith(PROCESSES):
        return fault.ended + AFTER_PROCESS_SECONDS
    stops = (other for other in faults if other.kind.endswith("stopped"))
    goes_on = [other.ended for other in stops if other.began <= fault.ended and fault.began <= other.ended]
    return max([fault.ended, *goes_on]) + AFTER_SERVER_SECONDS
