"""Jobs of RQ."""

import time

from benchmarks.rivals.ledger import record
from benchmarks.rivals.stamps import stamp


def plain(due: float) -> None:
    stamp(due)


def recorded(run_id: str, due: float) -> None:
    begun = time.time()
    stamp(due)
    record(run_id, begun)
