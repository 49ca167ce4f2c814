"""Spreading what falls together: a due time keeps its place and is dispatched a little later."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID


def spread(seed: UUID, at: datetime, *, jitter: float, next_at: datetime | None) -> datetime:
    """The moment at which a due time is dispatched: within ``jitter`` seconds, before the next one.

    Deterministic jitter by hash (splay), as Temporal's schedules and Jenkins' ``H`` have it: the
    same schedule and due time give the same moment in every process, so that no scheduler needs
    to remember it.

    Args:
        seed: the schedule's id.
        next_at: the next due time of the schedule, None when there is none.
    """
    room = timedelta(seconds=jitter) if next_at is None else min(timedelta(seconds=jitter), next_at - at)
    key = f"{seed} {at.timestamp():.6f}".encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
    # In whole microseconds and rounded down: a moment never reaches the next due time.
    return at + timedelta(microseconds=number * (room // timedelta(microseconds=1)) >> 64)
