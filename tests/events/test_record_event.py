"""record_event: an event is written in the transaction of its change."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import structlog
from flask import Flask

from taskapi.core.db import session, transaction
from taskapi.core.events import Event, record_event
from tests.people import Person

SUBJECT = ("task", uuid4())


def recorded() -> list[Event]:
    return list(session().scalars(sa.select(Event).where(Event.type == "task.created")))


def test_an_event_belongs_into_a_transaction(context: Flask) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record_event("task.created", subject=SUBJECT)


def test_an_event_keeps_who_did_what_to_whose_thing(owner: Person, context: Flask) -> None:
    with transaction():
        record_event(
            "task.created",
            subject=SUBJECT,
            actor=owner.actor,
            owner_id=owner.id,
            before={"title": "a"},
            after={"title": "b"},
        )
    (event,) = recorded()
    assert (event.subject_type, event.subject_id) == SUBJECT
    assert (event.actor_id, event.owner_id) == (owner.id, owner.id)
    assert (event.before, event.after) == ({"title": "a"}, {"title": "b"})
    assert event.position is None


def test_an_event_of_the_system_has_no_actor(context: Flask) -> None:
    with transaction():
        record_event("task.created", subject=SUBJECT)
    assert recorded()[0].actor_id is None


@pytest.mark.parametrize("name", ["request_id", "run_id"])
def test_an_event_names_the_request_or_run_that_caused_it(context: Flask, name: str) -> None:
    with structlog.contextvars.bound_contextvars(**{name: "r-1"}), transaction():
        record_event("task.created", subject=SUBJECT)
    assert recorded()[0].request_id == "r-1"


class Kept(logging.Handler):
    """Keeps the lines that are logged, as they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.msg)


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged of events."""
    logger, kept = logging.getLogger("taskapi.core.events"), Kept()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(kept)
    yield kept.lines
    logger.removeHandler(kept)
    logger.setLevel(level)


def test_each_event_logs_one_line_after_the_commit(
    owner: Person, context: Flask, lines: list[dict[str, Any]]
) -> None:
    with transaction():
        record_event("task.created", subject=SUBJECT, actor=owner.actor)
        assert lines == []
    (line,) = lines
    assert line["event"] == "event"
    assert line["type"] == "task.created"
    assert line["subject"] == str(SUBJECT[1])
    assert line["user"] == str(owner.id)


def test_a_transaction_that_rolls_back_leaves_no_event_and_no_line(
    context: Flask, lines: list[dict[str, Any]]
) -> None:
    with pytest.raises(ZeroDivisionError):
        _record_and_fail()
    assert recorded() == []
    assert lines == []


def _record_and_fail() -> None:
    with transaction():
        record_event("task.created", subject=SUBJECT)
        raise ZeroDivisionError
