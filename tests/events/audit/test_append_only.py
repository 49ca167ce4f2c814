"""The database itself refuses to change or delete what happened."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event, erase_contents
from taskapi.events.models import AuditHead
from tests.events.audit.making import at, copy_of, event_at, make_chain

OTHER = UUID(int=7)

pytestmark = pytest.mark.usefixtures("context")


def refused(statement: Any) -> None:
    with pytest.raises(DBAPIError, match="the audit log is append-only"), transaction() as active:
        active.execute(statement)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": OTHER},
        {"type": "task.deleted"},
        {"actor_id": OTHER},
        {"owner_id": OTHER},
        {"subject_type": "file"},
        {"subject_id": OTHER},
        {"topic_id": OTHER},
        {"request_id": "another"},
        {"created_at": sa.func.current_timestamp()},
        {"position": 17},
        {"position": None},
        {"before": {}},
        {"after": {"title": "Coffee"}},
        {"address": "192.0.2.1"},
        {"context": {}},
        {"salt": bytes(16)},
        {"content_digest": bytes(32)},
        {"content_digest": None},
        {"hash": bytes(32)},
        {"hash": None},
    ],
    ids=lambda changes: "{}={}".format(*next(iter(changes.items())))[:24].split("-")[0],
)
def test_no_event_is_changed(changes: dict[str, Any]) -> None:
    make_chain(1)
    refused(sa.update(Event).values(changes).execution_options(synchronize_session=False))


def test_no_event_is_deleted() -> None:
    make_chain(2)
    refused(sa.delete(Event).where(at(1)))


def test_no_event_is_replaced() -> None:
    make_chain(2)
    event = event_at(1)
    for facts in ({"id": event.id, "position": None}, {"position": 1}):
        statement = copy_of(event, **facts)
        if session().get_bind().dialect.name == "sqlite":
            refused(statement.prefix_with("OR REPLACE"))
            continue
        with pytest.raises(DBAPIError), transaction() as active:
            active.execute(statement)


@pytest.mark.one_database("postgresql")
def test_events_are_not_truncated() -> None:
    make_chain(1)
    refused(sa.text("TRUNCATE events CASCADE"))


def test_the_head_goes_forward_only() -> None:
    make_chain(2)
    refused(sa.delete(AuditHead))
    refused(sa.update(AuditHead).values(position=1))
    refused(sa.update(AuditHead).values(position=2, hash=bytes(32)))
    refused(sa.update(AuditHead).values(first=2, position=3))


def test_what_an_event_tells_can_be_erased_once_and_for_all() -> None:
    make_chain(1)
    with transaction():
        erase_contents(sa.true())
    db.session.remove()
    assert (event_at(1).after, event_at(1).salt) == (None, None)
    refused(sa.update(Event).values(after={"title": "Tea 1"}).execution_options(synchronize_session=False))
    refused(sa.update(Event).values(salt=bytes(16)).execution_options(synchronize_session=False))
