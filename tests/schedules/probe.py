"""An action whose behaviour a test chooses, for what the real ones never do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from taskapi.core.schemas import Schema
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.base import Action, RunContext


class NoParams(Schema):
    """Takes nothing."""


class Probe:
    """Calls ``behave`` and remembers every run it was called for."""

    def __init__(self) -> None:
        self.behave: Callable[[RunContext], Any] = lambda _context: None
        self.calls: list[RunContext] = []

    def run(self, context: RunContext, _params: dict[str, Any]) -> Any:
        self.calls.append(context)
        return self.behave(context)


@contextmanager
def installed(name: str, run: Callable[[RunContext, dict[str, Any]], Any]) -> Iterator[None]:
    """Have an action of this name inside the block."""
    registry.register(Action(name, "Does what a test wants", NoParams, run))
    try:
        yield
    finally:
        registry.unregister(name)
