"""Rate limits: so many requests in a fixed window, which begins with the first of them.

A signed-in caller is counted as a user, others by their address. All processes count in Redis,
mostly together with what else a request asks of it (``core/asking``); while it is away each counts
for itself, so that limits hold, and no request fails for them.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from flask import current_app, request
from limits.storage import MemoryStorage

from taskapi.core.access import Actor, Facts
from taskapi.core.errors import TooManyRequests
from taskapi.core.hints import Counter
from taskapi.core.proxies import network_of
from taskapi.core.runtime import current_request, request_state, runtime_settings
from taskapi.environment import Rate

# Counts one more under a key that is forgotten after so many seconds. It answers the count and the
# seconds that are left, or None when it cannot count.
SharedCounter = Callable[[str, int], tuple[int, float] | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands in the current window."""

    allowed: int
    used: int
    seconds_left: int


def set_shared_counter(count: SharedCounter) -> None:
    """Say how all processes count together."""
    current_app.extensions["taskapi_shared_counter"] = count


def limit_rate() -> None:
    """Before each request, when it is known who calls: count it.

    Raises:
        TooManyRequests: the window's requests are used up.
    """
    state = request_state()
    counted: tuple[Counter, tuple[int, float]] | None = state.get("counted")
    if counted is not None:
        _stand(*counted)
        return
    actor: Actor | None = state.get("actor")
    limit = _limit_of_request(actor.user_id if actor else None)
    if limit is not None:
        _use_up(*limit)


def counter_of(user_id: UUID) -> Counter | None:
    """What counts the current request if it is this user's; None if nothing does."""
    limit = _limit_of_request(user_id)
    return _counter(*limit) if limit else None


def note_counted(counter: Counter, counted: tuple[int, float]) -> None:
    """The current request is counted already: so many, with so many seconds left."""
    request_state().counted = counter, counted


def _counter(rate: Rate, caller: str) -> Counter:
    return Counter(key=f"{rate.seconds}/{caller}", seconds=rate.seconds, allowed=rate.amount)


def _use_up(rate: Rate, caller: str) -> None:
    counter = _counter(rate, caller)
    _stand(counter, _count(counter))


def _stand(counter: Counter, counted: tuple[int, float]) -> None:
    used, seconds_left = counted
    allowed, wait = counter.allowed, max(1, math.ceil(seconds_left))
    request_state().standing = Standing(allowed, used, wait)
    if used > allowed:
        detail = f"Only {allowed} requests are allowed in {counter.seconds} s; try again in {wait} s."
        raise TooManyRequests(detail, headers={"Retry-After": str(wait)})


def limit_failures(kind: str) -> None:
    """Count one more failure to prove who one is, where no account can be named; for each address.

    Raises:
        TooManyRequests: it has failed as often as ``RATE_LIMIT_AUTH`` says.
    """
    rate = runtime_settings().rate_limit_auth
    if rate is not None:
        _use_up(rate, f"failures/{kind}/{_address()}")


def rate_limit_headers() -> list[tuple[str, str]]:
    """What every answer tells of the caller's limit; nothing when the request was not counted."""
    standing: Standing | None = request_state().get("standing")
    if standing is None:
        return []
    return [
        ("RateLimit-Limit", str(standing.allowed)),
        ("RateLimit-Remaining", str(max(0, standing.allowed - standing.used))),
        ("RateLimit-Reset", str(standing.seconds_left)),
    ]


def _limit_of_request(user_id: UUID | None) -> tuple[Rate, str] | None:
    """The rate and who is counted, or None for what is never refused.

    Args:
        user_id: who calls; None if nobody knows.
    """
    asked, settings = current_request(), runtime_settings()
    facts: Facts = request_state().facts
    # Browsers ask by OPTIONS before requests of other sites; the requests themselves are counted.
    if asked.method == "OPTIONS" or facts.for_probes or asked.endpoint in _uncounted():
        return None
    if facts.limited_per_address:
        rate, caller = settings.rate_limit_auth, f"{asked.endpoint}/{_address()}"
    else:
        rate, caller = settings.rate_limit_default, f"user/{user_id}" if user_id else _address()
    return (rate, caller) if rate else None


def _uncounted() -> set[str]:
    found: set[str] = current_app.extensions["taskapi_uncounted_endpoints"]
    return found


def _address() -> str:
    return f"address/{network_of(request.remote_addr)}"


def _count(counter: Counter) -> tuple[int, float]:
    shared: SharedCounter | None = current_app.extensions.get("taskapi_shared_counter")
    found = shared(counter.key, counter.seconds) if shared else None
    return found or _count_here(counter.key, counter.seconds)


def _count_here(key: str, seconds: int) -> tuple[int, float]:
    # Made on first use: it has a thread, which a process that forks would lose.
    counts: MemoryStorage | None = current_app.extensions.get("taskapi_own_counts")
    if counts is None:
        counts = current_app.extensions.setdefault("taskapi_own_counts", MemoryStorage())
    return counts.incr(key, seconds), counts.get_expiry(key) - time.time()
