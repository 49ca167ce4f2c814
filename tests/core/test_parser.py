"""Queries that are remembered: what was read from one is given again to the same caller only."""

from typing import Any

import pytest
from flask import Flask

from taskapi.core import parser
from tests.people import Person
from tests.tasks.making import make_task


@pytest.fixture(autouse=True)
def forgotten() -> None:
    parser._remembered.cache_clear()


def read_anew(owner: Person, *paths: str) -> list[int]:
    """After each call, how many queries were read and not remembered."""
    counts = []
    for path in paths:
        owner.get(path)
        counts.append(parser._remembered.cache_info().misses)
    return counts


@pytest.mark.one_database
def test_the_same_query_is_read_once(owner: Person) -> None:
    same, other = "/api/tasks?status=todo&page=2", "/api/tasks?status=todo&page=3"
    assert read_anew(owner, same, same, other, same) == [1, 1, 2, 2]


@pytest.mark.one_database
def test_a_query_that_is_wrong_is_refused_each_time(owner: Person) -> None:
    for _ in range(2):
        assert owner.get("/api/tasks?stauts=todo").status_code == 422
    assert parser._remembered.cache_info().currsize == 0


@pytest.mark.one_database
def test_a_cursor_and_a_long_query_are_not_remembered(owner: Person) -> None:
    for title in ("one", "two"):
        make_task(owner, title=title)
    cursor = owner.get("/api/tasks?per_page=1").json["next_cursor"]
    before = parser._remembered.cache_info().misses
    assert owner.get(f"/api/tasks?per_page=1&cursor={cursor}").json["items"][0]["title"] == "one"
    owner.get(f"/api/tasks?q={'a' * parser.REMEMBERED_LENGTH}")
    assert parser._remembered.cache_info().misses == before


@pytest.mark.one_database
def test_a_day_is_the_day_of_who_asks(app: Flask, owner: Person, teammate: Person) -> None:
    due: dict[str, Any] = {"due_date": "2030-01-01T23:30:00Z"}
    make_task(owner, assignee_id=str(teammate.id), **due)
    assert teammate.patch("/api/auth/me", {"timezone": "Asia/Tokyo"}).status_code == 200
    # In Tokyo it is the next day already.
    path = "/api/tasks?due_after=2030-01-02&due_before=2030-01-02"
    assert [person.get(path).json["total"] for person in (owner, teammate, owner)] == [0, 1, 0]
