"""Jobs of which one leaves something behind and the other looks for it."""

import os
from contextvars import ContextVar

_left: ContextVar[str] = ContextVar("left", default="nothing")


def leave() -> tuple[int, str]:
    """Set what is not reset, as a time limit may leave it; in which process."""
    _left.set("something")
    return os.getpid(), _left.get()


def find() -> tuple[int, str]:
    return os.getpid(), _left.get()
