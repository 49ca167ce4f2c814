"""GET /api/changes: what a client that was away has missed, in order, to the last page."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import db, session, transaction
from taskapi.core.events import record_event
from taskapi.events import changes as pages
from taskapi.events import feed
from taskapi.events.retention import forget_old_readers
from tests.events.following import changes, now, relay, told
from tests.people import Person
from tests.tasks.making import make_task, path_of


def test_a_change_tells_what_happened_and_how_the_thing_looks_now(owner: Person) -> None:
    since = now(owner)
    task = make_task(owner, title="Tea", tags=["kitchen"])
    owner.patch(path_of(task), {"title": "Green tea"})
    page = changes(owner, since=since)
    item = next(item for item in page["items"] if item["type"] == "task.created")
    assert item.keys() == {"id", "type", "subject", "deleted", "data", "at"}
    assert item["subject"] == {"type": "task", "id": task["id"]}
    assert item["deleted"] is False
    assert item["data"] == owner.get("/api/tasks").json["items"][0]
    assert item["data"]["title"] == "Green tea"


def test_nothing_is_told_twice_and_nothing_is_left_out_page_by_page(owner: Person) -> None:
    since = now(owner)
    made = [make_task(owner, title=f"Tea {number}")["id"] for number in range(7)]
    whole = changes(owner, since=since, limit=500)
    seen, page = [], {"next": since, "more": True}
    while page["more"]:
        page = changes(owner, since=page["next"], limit=3)
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
    assert seen == [item["id"] for item in whole["items"]]
    assert [item["subject"]["id"] for item in whole["items"]] == made
    assert page["next"] == whole["next"] == whole["latest"]


def test_a_page_ends_before_its_texts_are_too_long_for_an_answer(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_BYTES", 4_000)
    since = now(owner)
    made = [make_task(owner, title="Tea", description="x" * 1_000)["id"] for _ in range(5)]
    # What is too long by itself comes alone.
    made.append(make_task(owner, title="Coffee", description="x" * 5_000)["id"])
    sizes, seen, page = [], [], {"next": since, "more": True}
    while page["more"]:
        page = changes(owner, since=page["next"], limit=500)
        sizes.append(len(page["items"]))
        seen += [item["subject"]["id"] for item in page["items"]]
    assert (seen, sizes) == (made, [2, 2, 1, 1])
    assert page["next"] == page["latest"]


def test_without_since_it_begins_at_the_beginning(owner: Person) -> None:
    make_task(owner, title="First")
    make_task(owner, title="Second")
    assert [data["title"] for _, data in told(owner)] == ["First", "Second"]


def test_next_moves_past_what_others_do(owner: Person, teammate: Person) -> None:
    first = changes(owner)
    make_task(teammate)
    second = changes(owner, since=first["next"])
    assert second["items"] == []
    assert second["more"] is False
    assert second["next"] != first["next"]


def test_the_id_of_a_message_is_a_token_too(owner: Person) -> None:
    make_task(owner, title="First")
    make_task(owner, title="Second")
    first = changes(owner, limit=1)["items"][0]
    assert [data["title"] for _, data in told(owner, first["id"])] == ["Second"]


def test_a_deleted_thing_is_a_tombstone_without_data(owner: Person) -> None:
    task = make_task(owner)
    since = now(owner)
    owner.delete(path_of(task))
    (item,) = changes(owner, since=since)["items"]
    assert (item["type"], item["deleted"], item["data"]) == ("task.deleted", True, None)
    assert item["subject"]["id"] == task["id"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "nonsense"}, "since"),
        ({"since": ""}, "since"),
        ({"since": "x" * 33}, "since"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"page": 2}, "page"),
        ({"per_page": 2}, "per_page"),
    ],
    ids=lambda value: str(value),
)
def test_what_makes_no_sense_is_refused(owner: Person, query: dict[str, Any], field: str) -> None:
    answer = owner.get("/api/changes", query_string=query)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == [field]


@pytest.mark.one_database
def test_no_shared_cache_keeps_it(owner: Person) -> None:
    assert "private" in owner.get("/api/changes").headers["Cache-Control"]


def test_a_page_takes_as_many_statements_for_fifty_events_as_for_five(
    owner: Person, statements: list[str]
) -> None:
    owner.post("/api/tags", {"name": "kitchen"})
    since = now(owner)
    counts = []
    for number in (5, 50):
        tasks = owner.post("/api/tasks/bulk", {"tasks": [{"title": "Tea", "tags": ["kitchen"]}] * number})
        for task in tasks.json["items"][: number // 5]:
            owner.post(f"{path_of(task)}/comments", {"content": "Soon."})
        relay(owner)
        statements.clear()
        page = owner.get("/api/changes", query_string={"since": since, "limit": 500}).json
        counts.append(len(statements))
        since = page["next"]
        assert len(page["items"]) >= number
    assert counts[0] == counts[1]


# Of each of these databases: numbers up to a bound, and a random id.
NUMBERS = {
    "postgresql": ("generate_series(1, 50000) AS numbers(n)", "gen_random_uuid()"),
    "sqlite": (
        "(WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 50000)"
        " SELECT n FROM up)",
        "lower(hex(randomblob(16)))",
    ),
}


@pytest.fixture
def crowded(context: Flask, owner: Person) -> Person:
    """The owner, whose each thousandth event it is, among those of 50 strangers."""
    name = db.engine.dialect.name
    numbers, random_id = NUMBERS[name]
    people = [owner.id, *(uuid4() for _ in range(50))]
    case = " ".join(f"WHEN {index} THEN {_literal(person)}" for index, person in enumerate(people))
    with transaction() as active:
        active.execute(
            sa.text(
                "INSERT INTO events (id, position, type, subject_type, subject_id, created_at)"
                f" SELECT {random_id}, n, 'task.created', 'task', {random_id}, CURRENT_TIMESTAMP"
                f" FROM {numbers}"
            )
        )
        whose = "CASE WHEN n % 1000 = 0 THEN 0 ELSE 1 + n % 50 END"
        active.execute(
            sa.text(
                "INSERT INTO event_readers (reader_id, position, formerly)"
                f" SELECT CASE {whose} {case} END, n, FALSE FROM {numbers}"
            )
        )
        if name == "postgresql":
            active.execute(sa.text("ANALYZE events, event_readers"))
    return owner


def _literal(value: UUID) -> str:
    return f"'{value.hex}'" if db.engine.dialect.name == "sqlite" else f"'{value}'::uuid"


def test_no_page_scans_the_log_or_its_readers(crowded: Person) -> None:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_others: Any) -> None:
        sent.append((statement, parameters))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    page = crowded.get("/api/changes", query_string={"limit": 10}).json
    crowded.get("/api/changes", query_string={"limit": 10, "since": page["next"]})
    feed.events_between(49_000, 100)
    forget_old_readers()
    sa.event.remove(db.engine, "before_cursor_execute", note)
    assert page["more"]
    about_events = [(text, values) for text, values in sent if "event" in text and "SELECT" in text]
    assert len(about_events) >= 6
    for text, values in about_events:
        plan = plan_of(text, values)
        assert not scans(plan), f"{text}\n{plan}"


def plan_of(statement: str, parameters: Any) -> str:
    words = "EXPLAIN" if db.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    rows = session().connection().exec_driver_sql(f"{words} {statement}", parameters).all()
    session().rollback()
    return "\n".join(str(row[-1]) for row in rows)


def scans(plan: str) -> bool:
    """Whether a whole table or index is read."""
    lines = [line.strip() for line in plan.splitlines()]
    return any(
        "Seq Scan on event" in line or line.startswith(("SCAN event", "SCAN TABLE event")) for line in lines
    )


def test_an_event_of_what_nobody_follows_is_told_to_nobody(owner: Person, admin: Person) -> None:
    since = {person.email: now(person) for person in (owner, admin)}
    with owner.client.application.app_context(), transaction():
        record_event("session.ended", subject=("session", uuid4()), owner_id=owner.id, actor=owner.id)
        record_event("user.updated", subject=("user", owner.id), owner_id=owner.id, after={"email": "x"})
    assert [told(person, since[person.email]) for person in (owner, admin)] == [[], []]
