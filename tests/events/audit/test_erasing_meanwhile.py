"""Who erases and who links at the same moment wait for each other."""

import threading
from uuid import uuid4

import pytest
from flask import Flask

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event, erase_contents, record_event
from taskapi.events.audit import chain
from taskapi.events.models import AuditHead
from taskapi.events.service import relay_events
from tests.events.audit.making import event_at, verified


def test_what_is_erased_while_it_is_linked_leaves_a_whole_chain(app: Flask) -> None:
    owner = uuid4()
    with app.app_context(), transaction():
        for _ in range(3):
            record_event("task.created", subject=("task", uuid4()), owner_id=owner, after={"title": "Tea"})
    is_erased, may_commit = threading.Event(), threading.Event()

    def close_account() -> None:
        with app.app_context(), transaction():
            erase_contents(Event.owner_id == owner)
            record_event("user.closed", subject=("user", owner), owner_id=owner)
            session().flush()
            is_erased.set()
            may_commit.wait(10)

    closing = threading.Thread(target=close_account)
    relaying = threading.Thread(target=lambda: in_context(app))
    closing.start()
    assert is_erased.wait(10)
    relaying.start()
    relaying.join(0.2)
    may_commit.set()
    closing.join(10)
    relaying.join(10)
    with app.app_context():
        relay_events()
        found = verified()
        assert (found.ok, found.checked) == (True, 4)
        assert event_at(1).after is None


def in_context(app: Flask) -> None:
    with app.app_context():
        relay_events()


def test_what_is_linked_while_somebody_wants_to_erase_it_is_erased_afterwards(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = uuid4()
    with app.app_context(), transaction():
        record_event("task.created", subject=("task", uuid4()), owner_id=owner, after={"title": "Tea"})
    is_linked, may_go_on = threading.Event(), threading.Event()
    extend = chain.extend

    def extend_slowly(head: AuditHead, events: list[Event]) -> None:
        extend(head, events)
        is_linked.set()
        may_go_on.wait(10)

    def close_account() -> None:
        with app.app_context(), transaction():
            erase_contents(Event.owner_id == owner)
            record_event("user.closed", subject=("user", owner), owner_id=owner)

    monkeypatch.setattr(chain, "extend", extend_slowly)
    relaying = threading.Thread(target=lambda: in_context(app))
    closing = threading.Thread(target=close_account)
    relaying.start()
    assert is_linked.wait(10)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    may_go_on.set()
    relaying.join(10)
    closing.join(10)
    with app.app_context():
        relay_events()
        db.session.remove()
        found = verified()
        assert (found.ok, found.checked, found.erased) == (True, 2, 1)
