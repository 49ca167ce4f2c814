"""Lists that are kept for a while are never older than a change that was acknowledged"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from taskapi.core.db import session, transaction
from taskapi.core.events import record_event
from taskapi.tasks import editing
from taskapi.tasks.models import Tag
from tests.people import Person
from tests.schedules.test_races import with_own_client
from tests.settings import settings_changed
from tests.tasks.making import make_task, path_of, titles

ROUNDS = 4


def listed(person: Person, query: str = "") -> tuple[list[str], str | None]:
    """The titles of a list, and whether it was kept."""
    answer = person.get(f"/api/tasks{query}")
    assert answer.status_code == 200
    return [task["title"] for task in answer.json["items"]], answer.headers.get("X-Cache")


def test_the_same_list_is_kept_until_something_changes(owner: Person) -> None:
    task = make_task(owner)
    assert [listed(owner)[1] for _ in range(3)] == ["miss", "hit", "hit"]
    assert listed(owner, "?status=todo")[1] == "miss"
    first, kept = owner.get("/api/tasks"), owner.get("/api/tasks")
    same = ("Content-Type", "Link")
    assert (first.data, [first.headers.get(name) for name in same]) == (
        kept.data,
        [kept.headers.get(name) for name in same],
    )
    owner.patch(path_of(task), {"title": "Tea"})
    assert listed(owner) == (["Tea"], "miss")


def test_what_others_do_with_other_tasks_leaves_it(owner: Person, teammate: Person) -> None:
    make_task(owner)
    listed(owner)
    make_task(teammate)
    assert listed(owner)[1] == "hit"


def test_each_sees_their_own(app: Flask, owner: Person, teammate: Person) -> None:
    make_task(owner, title="owner's")
    make_task(teammate, title="teammate's")
    for _ in range(2):
        assert (listed(owner)[0], listed(teammate)[0]) == (["owner's"], ["teammate's"])
    with settings_changed(app, team_sees_tasks=True):
        assert listed(owner)[0] == ["teammate's", "owner's"]
        make_task(teammate, title="third")
        assert listed(owner)[0] == ["third", "teammate's", "owner's"]


def changes(owner: Person, teammate: Person, task: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Whatever makes a list of either person look otherwise."""
    mine = path_of(task)
    return {
        "own edit": lambda: owner.patch(mine, {"title": "Tea"}),
        "colleague's edit": lambda: teammate.patch(mine, {"priority": "low"}),
        "new task": lambda: make_task(owner, title="New", assignee_id=str(teammate.id)),
        "tags": lambda: owner.patch(mine, {"tags": ["home"]}),
        "new name of a tag": lambda: rename_tags(owner, "garden"),
        "bulk": lambda: owner.post(
            "/api/tasks/bulk", {"tasks": [{"title": "Bulk", "assignee_id": str(teammate.id)}]}
        ),
        "upsert": lambda: owner.put("/api/tasks/by-external-id/7", {"title": "Up", "priority": "high"}),
        "unassigned": lambda: owner.patch(mine, {"assignee_id": None}),
        "assigned": lambda: owner.patch(mine, {"assignee_id": str(teammate.id)}),
        "deleted": lambda: owner.delete(mine),
        "restored": lambda: owner.post(f"{mine}/restore"),
    }


def rename_tags(person: Person, name: str) -> None:
    with person.client.application.app_context(), transaction():
        tag = session().scalars(sa.select(Tag)).one()
        tag.name = name
        record_event("tag.updated", subject=("tag", tag.id), actor=person.actor, owner_id=person.id)


def test_after_each_kind_of_change_both_see_what_is_true(app: Flask, owner: Person, teammate: Person) -> None:
    task = make_task(owner, assignee_id=str(teammate.id))
    for name, change in changes(owner, teammate, task).items():
        for person in (owner, teammate):
            listed(person)
        change()
        for person in (owner, teammate):
            kept = person.get("/api/tasks").json
            with settings_changed(app, cache_ttl=0):
                assert kept == person.get("/api/tasks").json, name


class Hammer:
    """Two who write to a shared task and make new ones, while all who may read, read."""

    def __init__(self, app: Flask, pair: tuple[Person, Person], shared: dict[str, Any]) -> None:
        self._app, self._pair, self._shared = app, pair, shared
        self._over = threading.Event()
        self.stale: list[str] = []
        self.caches: list[str | None] = []

    def run(self) -> None:
        writers = [threading.Thread(target=self._write, args=[place]) for place in (0, 1)]
        # They keep answers of any moment.
        readers = [threading.Thread(target=self._read, args=[place]) for place in (0, 1)]
        for thread in (*readers, *writers):
            thread.start()
        for thread in writers:
            thread.join(timeout=60)
        self._over.set()
        for thread in readers:
            thread.join(timeout=20)

    def _read(self, place: int) -> None:
        person = with_own_client(self._app, self._pair[place])
        while not self._over.wait(0.005):
            # The second finds what the first has kept, unless somebody wrote in between.
            self.caches += [listed(person)[1] for _ in range(2)]

    def _write(self, place: int) -> None:
        writer, other = (with_own_client(self._app, self._pair[one]) for one in (place, 1 - place))
        for number in range(ROUNDS):
            made = make_task(writer, assignee_id=str(other.id))
            edited = writer.patch(path_of(self._shared), {"description": f"{place} {number}"}).json
            for reader in (writer, other):
                self._check(reader, made, edited)

    def _check(self, reader: Person, made: dict[str, Any], edited: dict[str, Any]) -> None:
        """The next list of either shows both changes, or what came after them."""
        found = {task["id"]: task["version"] for task in reader.get("/api/tasks?per_page=100").json["items"]}
        for task in (made, edited):
            if found.get(task["id"], 0) < task["version"]:
                self.stale.append(f"{reader.email} sees {found.get(task['id'])} of {task}")


def test_each_acknowledged_write_is_in_the_next_list_of_everybody(
    app: Flask, owner: Person, teammate: Person
) -> None:
    shared = make_task(owner, assignee_id=str(teammate.id))
    hammer = Hammer(app, (owner, teammate), shared)
    hammer.run()
    assert hammer.stale == []
    assert {"hit", "miss"} <= set(hammer.caches)
    assert owner.get("/api/tasks").json["total"] == 2 * ROUNDS + 1


def test_a_change_that_was_rolled_back_changes_nothing(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    listed(owner)

    def change_and_fail() -> None:
        with transaction():
            editing.update_task(actor=owner.actor, task_id=UUID(task["id"]), changes={"title": "Tea"})
            raise RuntimeError("no")

    with app.app_context(), pytest.raises(RuntimeError, match="no"):
        change_and_fail()
    assert listed(owner) == (["Water the plants"], "hit")


@pytest.mark.usefixtures("redis_away")
def test_without_redis_it_is_slower_and_right(owner: Person) -> None:
    for number in range(3):
        make_task(owner, title=f"{number}")
        assert listed(owner) == ([f"{found}" for found in range(number, -1, -1)], "miss")


def test_redis_that_was_away_or_flushed_brings_nothing_old_back(
    app: Flask, owner: Person, redis_url: str
) -> None:
    task = make_task(owner)
    listed(owner)
    redis = app.extensions["taskapi_redis"]
    app.extensions["taskapi_redis"] = Redis.from_url("unix:///nowhere/valkey.sock")
    owner.patch(path_of(task), {"title": "Tea"})
    app.extensions["taskapi_redis"] = redis
    assert listed(owner)[0] == ["Tea"]
    with Redis.from_url(redis_url) as connection:
        connection.flushdb()
    assert listed(owner) == (["Tea"], "miss")


def test_nothing_is_kept_when_it_shall_not_be(app: Flask, owner: Person) -> None:
    with settings_changed(app, cache_ttl=0):
        assert [listed(owner)[1] for _ in range(2)] == [None, None]


@pytest.mark.one_database
def test_what_depends_on_the_clock_is_not_kept_also_by_cursor(owner: Person) -> None:
    for _ in range(3):
        make_task(owner)
    assert [listed(owner, "?overdue=false&per_page=1")[1] for _ in range(2)] == ["miss", "miss"]
    cursor = owner.get("/api/tasks?overdue=false&per_page=1").json["next_cursor"]
    assert [listed(owner, f"?cursor={cursor}")[1] for _ in range(2)] == ["miss", "miss"]


@pytest.mark.one_database
def test_a_refusal_is_not_kept(owner: Person) -> None:
    for _ in range(2):
        answer = owner.get("/api/tasks?status=nearly")
        assert (answer.status_code, answer.headers.get("X-Cache")) == (422, None)


@pytest.mark.one_database
def test_another_time_zone_is_another_list(app: Flask, owner: Person) -> None:
    task = make_task(owner)
    day = task["created_at"][:10]
    assert titles(owner, date=day) == [task["title"]]
    assert owner.patch("/api/auth/me", {"timezone": "Pacific/Kiritimati"}).status_code == 200
    moved = replace(owner, client=app.test_client())
    with settings_changed(app, cache_ttl=0):
        right = titles(moved, date=day)
    assert titles(moved, date=day) == right
