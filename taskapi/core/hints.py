"""What all processes remember together, in Redis: versions, and what was found out under them.

A version is a random text that is replaced when what it is of changes. What is kept names the
version that was read before it was found out, so that what is older than a change fits to none.
Whoever asks must get along without an answer.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from flask import current_app

# Every version is so many letters.
VERSION_LENGTH = 16
# Longer than anything is kept. A version that was forgotten comes back as another one.
VERSIONS_LIVE_SECONDS = 7 * 86_400


@dataclass(slots=True, kw_only=True)
class Counter:
    """A count that is forgotten so many seconds after it began, and may go so far until then."""

    key: str
    seconds: int
    allowed: int


@dataclass(slots=True, kw_only=True)
class Question:
    """What a request wants to know at its beginning, all at once.

    Attributes:
        standing: under which key it is kept who calls.
        versions: names; the first two are of the caller's standing.
        counter: raised if the kept standing is of these versions: else it is not known yet who calls.
        page: under which key an answer may be kept.
    """

    standing: str
    versions: tuple[str, ...]
    counter: Counter | None = None
    page: str | None = None


@dataclass(slots=True, kw_only=True)
class Hints:
    """The answer. ``versions`` are in the order of the question; there is one for each name.

    Attributes:
        counted: the count and the seconds that are left, if it was raised.
    """

    versions: tuple[str, ...]
    standing: bytes | None = None
    page: bytes | None = None
    counted: tuple[int, float] | None = None


class SharedHints(Protocol):
    """Where hints are; nothing raises while it is away."""

    def ask(self, question: Question) -> Hints | None:
        """All of it in one round trip; None while it is away."""

    def keep(
        self, key: str, value: bytes, *, seconds: float, counter: Counter | None = None
    ) -> tuple[int, float] | None:
        """Keep a standing and raise a counter, in one round trip; the count, as in ``Hints``."""

    def renew(self, names: Collection[str]) -> bool:
        """Give these names versions that they never had; whether it was done for sure."""


def set_shared_hints(shared: SharedHints) -> None:
    """Say where hints are kept."""
    current_app.extensions["taskapi_shared_hints"] = shared


def shared_hints() -> SharedHints:
    """The hints of the running application."""
    found: SharedHints = current_app.extensions["taskapi_shared_hints"]
    return found
