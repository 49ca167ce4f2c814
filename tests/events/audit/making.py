"""A chain of events, and hands that do what the database forbids."""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event, record_event
from taskapi.events.audit.verification import Verification, verify_chain
from taskapi.events.service import relay_events
from tests.unguarded import unguarded


def make_chain(count: int = 6, **facts: Any) -> None:
    """Events at the positions 1 and following."""
    with transaction():
        for number in range(1, count + 1):
            after = {"title": f"Tea {number}", "priority": 1.5e-7, "tags": ["é", "\u2028"], "done": None}
            record_event("task.created", subject=("task", uuid4()), after=after, **facts)
    relay_events()


def tamper(*statements: Any) -> None:
    """Do it as somebody can who may do everything in the database."""
    with transaction() as active, unguarded(active.connection()):
        for statement in statements:
            active.execute(statement.execution_options(synchronize_session=False))
    db.session.remove()


def at(position: int) -> sa.ColumnElement[bool]:
    return Event.position == position


def event_at(position: int) -> Event:
    return session().scalars(sa.select(Event).where(at(position))).one()


def copy_of(event: Event, **changes: Any) -> sa.Insert:
    """A statement that inserts the same event with another id."""
    values = {column.name: getattr(event, column.name) for column in Event.__table__.columns}
    return sa.insert(Event).values({**values, "id": uuid4(), **changes})


def faults(**options: Any) -> list[tuple[str, int, int]]:
    """What a verification finds: the kind, and from where to where."""
    return [(fault.kind, fault.position, fault.until) for fault in verified(**options).faults]


def verified(**options: Any) -> Verification:
    found = verify_chain(**options)
    assert found.ok is (found.faults == [])
    return found
