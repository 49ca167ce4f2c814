"""Subscribers for the time of one test."""

from collections.abc import Callable

import pytest
from flask import Flask

from taskapi.core import events
from taskapi.core.events import Event
from tests.tasks.conftest import statements, stranger, task, time

__all__ = ("statements", "stranger", "task", "time")

Subscribe = Callable[[str, Callable[[Event], None]], None]


@pytest.fixture
def on(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Subscribe:
    """Subscribe functions to patterns of event types; nobody else listens."""
    monkeypatch.setattr(events, "_subscribers", {})

    def subscribe(pattern: str, handle: Callable[[Event], None]) -> None:
        events.subscribe(f"test.{len(events.subscribers())}", pattern, handle)

    return subscribe
