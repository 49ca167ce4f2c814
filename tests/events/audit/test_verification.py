"""verify_chain: whatever somebody does to the log behind our back is found, and where."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from taskapi.core.db import db, session, transaction
from taskapi.core.events import Event, erase_contents, record_event
from taskapi.events.audit import chain, verification
from taskapi.events.models import AuditHead
from taskapi.events.service import relay_events
from tests.events.audit.making import at, copy_of, event_at, faults, make_chain, tamper, verified
from tests.people import Person
from tests.schedules.making import make
from tests.tasks.making import make_task, path_of
from tests.work import tick

pytestmark = pytest.mark.usefixtures("context")

LATER = timedelta(microseconds=1)


def test_an_untouched_chain_is_whole() -> None:
    make_chain(7)
    found = verified()
    assert (found.ok, found.checked, found.erased, found.before, found.waiting) == (True, 7, 0, 0, 0)
    assert found.head == f"7:{event_at(7).hash.hex()}"  # type: ignore[union-attr]


def test_an_empty_log_is_whole() -> None:
    found = verified()
    assert (found.ok, found.checked, found.head) == (True, 0, None)


def test_what_the_system_writes_in_use_is_whole(owner: Person, admin: Person) -> None:
    task = make_task(owner, title="Größe 🍵", tags=["a"], due_date="2031-01-01T00:00:00.123456Z")
    owner.patch(path_of(task), {"status": "done"})
    schedule = make(owner, every=0.5e3, params={"message": "Tea \u2028 🍵"}, jitter=1.25)
    owner.post(f"/api/schedules/{schedule['id']}/run")
    tick(owner.client.application)
    relay_events()
    found = verified()
    assert found.ok, found.faults
    assert found.checked > 6


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "task.deleted"},
        {"actor_id": uuid4()},
        {"owner_id": uuid4()},
        {"subject_type": "file"},
        {"subject_id": uuid4()},
        {"topic_id": uuid4()},
        {"request_id": "another"},
        {"id": uuid4()},
        {"after": {"title": "Coffee"}},
        {"after": None},
        {"before": {}},
        {"address": "192.0.2.1"},
        {"context": {"via": "cli"}},
        {"salt": bytes(16)},
        {"content_digest": bytes(32)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_altered_event_is_found(changes: dict[str, Any]) -> None:
    make_chain()
    tamper(sa.update(Event).where(at(3)).values(changes))
    assert faults() == [("altered", 3, 3)]


def test_another_time_is_found() -> None:
    make_chain()
    tamper(sa.update(Event).where(at(3)).values(created_at=event_at(3).created_at + LATER))
    assert faults() == [("altered", 3, 3)]


def test_a_hash_that_was_computed_anew_does_not_fit_the_next_event() -> None:
    make_chain()
    event, before = event_at(3), event_at(2)
    session().expunge(event)
    event.type = "task.deleted"
    forged = chain.hash_of(event, before.hash or b"")
    tamper(sa.update(Event).where(at(3)).values(type="task.deleted", hash=forged))
    assert faults() == [("altered", 4, 4)]


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        ([3], [("missing", 3, 3)]),
        ([1], [("missing", 1, 1)]),
        ([2, 3, 5], [("missing", 2, 3), ("missing", 5, 5)]),
        ([6], [("end_removed", 6, 6)]),
        ([4, 5, 6], [("end_removed", 4, 6)]),
        ([1, 2, 3, 4, 5, 6], [("end_removed", 1, 6)]),
    ],
)
def test_removed_events_are_found(gone: list[int], found: list[tuple[str, int, int]]) -> None:
    make_chain()
    tamper(sa.delete(Event).where(Event.position.in_(gone)))
    assert faults() == found


def test_a_removed_end_stays_found_when_others_follow() -> None:
    make_chain()
    tamper(sa.delete(Event).where(Event.position > 4))
    make_chain(2)
    assert faults() == [("missing", 5, 6)]


def test_a_gap_that_was_closed_is_found() -> None:
    make_chain(4)
    tamper(sa.delete(Event).where(at(2)), *[move(3, 2), move(4, 3)])
    assert ("altered", 2, 2) in faults()
    assert ("end_removed", 4, 4) in faults()


def move(old: int, new: int) -> sa.Update:
    return sa.update(Event).where(at(old)).values(position=new)


def test_events_that_changed_places_are_found() -> None:
    make_chain()
    tamper(move(2, 100), move(4, 2), move(100, 4))
    assert {position for _, position, _ in faults()} == {2, 3, 4, 5}


def test_an_event_that_was_put_in_the_place_of_another_is_found() -> None:
    make_chain()
    forged = copy_of(event_at(3), after={"title": "Coffee"})
    tamper(sa.delete(Event).where(at(3)), forged)
    assert faults() == [("altered", 3, 3)]


def test_an_event_that_was_put_in_without_a_hash_is_found() -> None:
    make_chain()
    forged = copy_of(event_at(3), hash=None, content_digest=None, salt=None)
    tamper(sa.delete(Event).where(at(3)), forged)
    assert faults() == [("unlinked", 3, 3)]


def test_an_event_that_was_put_behind_the_end_is_found() -> None:
    make_chain()
    tamper(copy_of(event_at(6), position=7))
    assert faults() == [("altered", 7, 7)]
    make_chain(2)
    assert faults() == [("altered", 7, 7)]


def test_the_end_may_not_be_taken_away_together_with_the_head() -> None:
    make_chain()
    known = (6, event_at(6).hash.hex())  # type: ignore[union-attr]
    last = event_at(4).hash
    tamper(
        sa.delete(Event).where(Event.position > 4),
        sa.update(AuditHead).values(position=4, hash=last),
    )
    assert faults() == []
    assert faults(heads=[known]) == [("missing", 6, 6)]


def test_a_chain_that_was_written_anew_is_found_by_a_head_that_was_kept() -> None:
    make_chain()
    known = (4, event_at(4).hash.hex())  # type: ignore[union-attr]
    assert faults(heads=[known]) == []
    tamper(
        sa.update(Event).where(at(2)).values(type="task.deleted"),
        sa.update(Event).values(hash=None, content_digest=None),
        sa.update(AuditHead).values(position=0, hash=chain.GENESIS),
    )
    make_chain(1)
    assert faults() == []
    assert faults(heads=[known]) == [("rewritten", 4, 4)]


def test_a_head_that_was_taken_away_is_found() -> None:
    make_chain()
    tamper(sa.delete(AuditHead))
    assert faults() == [("altered", 1, 1)]
    make_chain(1)
    assert faults() == [("altered", 1, 1)]


def erase(where: sa.ColumnElement[bool], *reason: Any) -> None:
    with transaction():
        erase_contents(where)
        if reason:
            record_event(reason[0], subject=reason[1])
    relay_events()
    db.session.remove()


@pytest.mark.parametrize("kind", ["user.closed", "user.deleted"])
def test_what_was_erased_with_an_account_is_no_fault(kind: str) -> None:
    owner = uuid4()
    make_chain(3, owner_id=owner)
    erase(Event.owner_id == owner, kind, ("user", owner))
    found = verified()
    assert (found.ok, found.checked, found.erased) == (True, 4, 3)
    assert (event_at(2).after, event_at(2).salt, event_at(2).context) == (None, None, None)


def test_what_was_erased_with_a_task_is_no_fault() -> None:
    task = uuid4()
    make_chain(3, topic_id=task)
    erase(Event.topic_id == task, "task.purged", ("task", task))
    assert (verified().ok, verified().erased) == (True, 3)


def test_what_was_erased_before_it_was_linked_is_no_fault() -> None:
    with transaction():
        record_event("task.created", subject=("task", uuid4()), after={"title": "Tea"})
        session().flush()
        erase_contents(sa.true())
    relay_events()
    found = verified()
    assert (found.ok, found.checked, found.erased) == (True, 1, 0)


def test_what_was_erased_without_a_reason_is_found() -> None:
    make_chain(3)
    erase(at(2))
    assert faults() == [("erased", 2, 2)]


def test_another_ones_reason_is_none() -> None:
    owner = uuid4()
    make_chain(2, owner_id=owner)
    erase(at(2), "user.closed", ("user", uuid4()))
    assert faults() == [("erased", 2, 2)]


def test_an_earlier_reason_is_none() -> None:
    owner = uuid4()
    with transaction():
        record_event("user.closed", subject=("user", owner))
    make_chain(2, owner_id=owner)
    erase(at(2))
    assert faults() == [("erased", 2, 2)]


def test_half_an_erasure_is_found() -> None:
    owner = uuid4()
    make_chain(2, owner_id=owner)
    erase(Event.owner_id == owner, "user.closed", ("user", owner))
    tamper(sa.update(Event).where(at(2)).values(after={"title": "Coffee"}))
    assert faults() == [("altered", 2, 2)]


def test_closing_an_account_and_purging_its_tasks_leave_a_whole_chain(
    owner: Person, teammate: Person
) -> None:
    make_task(owner)
    make_task(teammate)
    relay_events()
    assert owner.delete("/api/auth/me", json={"password": "correct horse battery"}).status_code == 204
    relay_events()
    db.session.remove()
    found = verified()
    assert found.ok, found.faults
    assert found.erased >= 3


def test_what_happened_before_the_chain_began_is_counted() -> None:
    with transaction() as active:
        for position in (1, 2, 3):
            active.add(Event(type="a", subject_type="task", subject_id=uuid4(), position=position))
    make_chain(2)
    found = verified()
    assert (found.ok, found.before, found.checked) == (True, 3, 2)
    assert str(found.head).startswith("5:")


def test_what_an_older_release_has_placed_meanwhile_is_linked() -> None:
    make_chain(2)
    with transaction() as active:
        for position in (3, 4):
            active.add(Event(type="a", subject_type="task", subject_id=uuid4(), position=position))
    make_chain(2)
    found = verified()
    assert (found.ok, found.checked) == (True, 6)


def test_what_waits_to_be_linked_is_counted() -> None:
    make_chain(2)
    with transaction():
        record_event("task.created", subject=("task", uuid4()))
    found = verified()
    assert (found.ok, found.checked, found.waiting) == (True, 2, 1)


def test_what_is_linked_meanwhile_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    make_chain(3)
    monkeypatch.setattr(verification, "BATCH", 2)
    grown: list[int] = []

    def grow(_count: int) -> None:
        if not grown:
            grown.append(1)
            make_chain(2)

    found = verified(advance=grow)
    assert (found.ok, found.checked) == (True, 3)


def test_batches_hang_together(monkeypatch: pytest.MonkeyPatch) -> None:
    make_chain(7)
    monkeypatch.setattr(verification, "BATCH", 3)
    read: list[int] = []
    assert verified(advance=read.append).ok
    assert read == [3, 3, 1]
    tamper(sa.delete(Event).where(at(4)))
    assert faults() == [("missing", 4, 4)]


def test_a_thousand_faults_are_counted_and_a_hundred_told(monkeypatch: pytest.MonkeyPatch) -> None:
    make_chain(12)
    monkeypatch.setattr(verification, "MAX_FAULTS", 5)
    tamper(sa.update(Event).values(after={"title": "Coffee"}))
    found = verified()
    assert (found.fault_count, len(found.faults)) == (12, 5)
