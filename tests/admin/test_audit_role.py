"""The role of docs/audit.md: the service works with it, and cannot change what happened."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import ProgrammingError

from taskapi.core.db import db, session, transaction
from taskapi.core.events import erase_contents, record_event
from taskapi.events.audit.verification import verify_chain
from taskapi.events.service import relay_events

pytestmark = pytest.mark.one_database("postgresql")
PAGE = Path(__file__, "../../../docs/audit.md").resolve()


@pytest.fixture
def role(context: Flask) -> Iterator[str]:
    """All connections act as the service's role; nothing is left of it."""
    name = f"taskapi_service_{os.getpid()}"
    statements = PAGE.read_text().partition("```sql\n")[2].partition("```")[0]
    statements = statements.replace("taskapi_service", name)
    with db.engine.begin() as connection:
        connection.execute(sa.text(statements))

    def take_role(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL ROLE {name}")

    sa.event.listen(db.engine, "begin", take_role)
    yield name
    sa.event.remove(db.engine, "begin", take_role)
    db.session.remove()
    with db.engine.begin() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {name}; DROP ROLE {name}"))
    assert context


def test_the_service_works_with_it(role: str) -> None:
    with transaction():
        record_event("task.created", subject=("task", uuid4()), after={"title": "Tea"})
        record_event("task.purged", subject=("task", uuid4()))
    assert session().scalar(sa.text("SELECT current_user")) == role
    assert relay_events() == 2
    with transaction():
        erase_contents(sa.true())
    assert verify_chain().checked == 2


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events",
        "TRUNCATE events CASCADE",
        "UPDATE events SET type = 'task.deleted'",
        "UPDATE events SET created_at = now()",
        "UPDATE events SET actor_id = NULL",
        "DELETE FROM audit_heads",
        "UPDATE audit_heads SET first = 0",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TRIGGER events_no_change ON events",
    ],
)
@pytest.mark.usefixtures("role")
def test_it_cannot_change_what_happened(statement: str) -> None:
    with transaction():
        record_event("task.created", subject=("task", uuid4()), after={"title": "Tea"})
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction() as active:
        active.execute(sa.text(statement))
