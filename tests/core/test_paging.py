"""Lists in pages, seen through two real lists."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from taskapi.core import paging
from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.core.paging import MAX_PAGE
from taskapi.core.signing import sign
from taskapi.notifications.models import Notification
from tests.people import Person

LIST = "/api/notifications"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = "01999999-0000-7000-8000-000000000000"


def notify(app: Flask, person: Person, titles: range, *, at: datetime = NOON) -> None:
    """Notifications with these numbers as titles, three of them at each moment, in this order."""
    with app.app_context(), transaction():
        for number in titles:
            moment = at + timedelta(seconds=number // 3)
            key = str(new_id())
            session().add(
                Notification(
                    key=key, user_id=person.id, type="test", title=str(number), message="", created_at=moment
                )
            )


@pytest.fixture
def seven(app: Flask, owner: Person) -> Person:
    """The owner, with seven notifications."""
    notify(app, owner, range(7))
    return owner


def get(person: Person, path: str) -> dict[str, Any]:
    answer = person.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    page: dict[str, Any] = answer.json
    return page


def titles(page: dict[str, Any]) -> list[int]:
    return [int(item["title"]) for item in page["items"]]


def walk(person: Person, path: str) -> Iterator[dict[str, Any]]:
    """The pages from this one on, by cursor."""
    page = get(person, path)
    yield page
    while page["next_cursor"]:
        page = get(person, f"{LIST}?cursor={page['next_cursor']}&per_page={page['per_page']}")
        yield page


def links(headers: Headers) -> dict[str, str]:
    """The ``Link`` header as relation → address."""
    found = {}
    for link in headers.get("Link", "").split(", "):
        address, options = parse_options_header(link)
        if address:
            found[options["rel"]] = address.strip("<>")
    return found


def test_a_page_says_where_it_stands(seven: Person) -> None:
    page = get(seven, f"{LIST}?page=2&per_page=3")
    assert titles(page) == [3, 2, 1]
    assert (page["page"], page["per_page"], page["total"]) == (2, 3, 7)


def test_without_parameters_it_is_the_first_twenty(app: Flask, owner: Person) -> None:
    notify(app, owner, range(21))
    page = get(owner, LIST)
    assert (len(page["items"]), page["page"], page["per_page"], page["total"]) == (20, 1, 20, 21)


@pytest.mark.parametrize("number", [4, 1000, MAX_PAGE])
def test_a_page_past_the_end_is_empty(seven: Person, number: int) -> None:
    page = get(seven, f"{LIST}?page={number}&per_page=3")
    assert (page["items"], page["total"], page["next_cursor"]) == ([], 7, None)


def test_beyond_the_end_the_previous_page_is_the_last_one(seven: Person) -> None:
    links = seven.get(f"{LIST}?page=999&per_page=3").headers["Link"]
    assert "page=3" in links
    assert 'rel="next"' not in links


def test_the_last_page_has_no_next(seven: Person) -> None:
    answer = seven.get(f"{LIST}?per_page=7")
    assert answer.json is not None
    assert answer.json["next_cursor"] is None
    assert "Link" not in answer.headers


@pytest.mark.one_database
@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-1", "page=x", "page=1.5", "page=", "page=9999999999999999999", "page=1&page=2"),
        *("per_page=0", "per_page=101", "per_page=x", "perpage=1", f"page={MAX_PAGE + 1}"),
        *("sort=title", "sort=", "sort=--created_at", "cursor=a&cursor=b", "unread=maybe"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(owner: Person, query: str) -> None:
    answer = owner.get(f"{LIST}?{query}")
    assert answer.status_code == 422
    assert answer.json is not None
    assert list(answer.json["errors"]) == [query.partition("=")[0]]


@pytest.mark.parametrize("per_page", [1, 100])
def test_a_page_may_have_one_to_a_hundred_items(seven: Person, per_page: int) -> None:
    assert len(get(seven, f"{LIST}?per_page={per_page}")["items"]) == min(per_page, 7)


@pytest.mark.parametrize(("sort", "order"), [("created_at", range(7)), ("-created_at", range(6, -1, -1))])
@pytest.mark.parametrize("per_page", [1, 2, 3])
def test_a_cursor_walks_all_rows_in_their_order(
    seven: Person, sort: str, order: range, per_page: int
) -> None:
    pages = list(walk(seven, f"{LIST}?sort={sort}&per_page={per_page}"))
    assert [number for page in pages for number in titles(page)] == list(order)
    assert {(page["page"], page["total"]) for page in pages[1:]} == {(None, None)}


def test_rows_that_arrive_during_a_walk_neither_hide_nor_repeat_others(app: Flask, seven: Person) -> None:
    seen: list[int] = []
    for turn, page in enumerate(walk(seven, f"{LIST}?per_page=2")):
        seen += titles(page)
        notify(app, seven, range(100 + turn * 3, 103 + turn * 3))
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_a_walk_in_ascending_order_also_finds_what_arrives_behind(app: Flask, seven: Person) -> None:
    pages = walk(seven, f"{LIST}?per_page=5&sort=created_at")
    seen = titles(next(pages))
    notify(app, seven, range(7, 10))
    assert seen + [number for page in pages for number in titles(page)] == list(range(10))


def test_a_cursor_carries_the_size_of_a_page(seven: Person) -> None:
    page = get(seven, f"{LIST}?per_page=2")
    for size, (asked, found) in {"": (2, [4, 3]), "&per_page=3": (3, [2, 1, 0])}.items():
        page = get(seven, f"{LIST}?cursor={page['next_cursor']}{size}")
        assert (page["per_page"], titles(page)) == (asked, found)


def test_a_cursor_carries_its_filters_and_sort(app: Flask, seven: Person) -> None:
    first = get(seven, f"{LIST}?per_page=2&sort=created_at&unread=true")
    seven.put(f"{LIST}/{get(seven, f'{LIST}?sort=created_at&page=3&per_page=1')['items'][0]['id']}/read")
    page = get(seven, f"{LIST}?cursor={first['next_cursor']}&per_page=3")
    assert titles(first) + titles(page) == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("query", ["sort=-created_at", "unread=false", "unread=1"])
def test_a_cursor_does_not_go_with_another_filter_or_sort(seven: Person, query: str) -> None:
    cursor = get(seven, f"{LIST}?per_page=2&sort=created_at&unread=true")["next_cursor"]
    assert refusal(seven, f"{LIST}?cursor={cursor}&{query}") == (400, "invalid_cursor")


def test_a_cursor_goes_with_the_filter_that_it_was_made_with(seven: Person) -> None:
    cursor = get(seven, f"{LIST}?per_page=2&unread=true")["next_cursor"]
    assert titles(get(seven, f"{LIST}?cursor={cursor}&unread=true&page=9")) == [4, 3]


def refusal(person: Person, path: str) -> tuple[int, str]:
    answer = person.get(path)
    assert answer.json is not None
    return answer.status_code, answer.json["code"]


def test_another_users_cursor_is_refused(app: Flask, seven: Person, teammate: Person) -> None:
    cursor = get(seven, f"{LIST}?per_page=2")["next_cursor"]
    assert refusal(teammate, f"{LIST}?cursor={cursor}") == (400, "invalid_cursor")


def test_another_lists_cursor_is_refused(seven: Person) -> None:
    cursor = get(seven, f"{LIST}?per_page=2")["next_cursor"]
    assert refusal(seven, f"/api/schedules?cursor={cursor}") == (400, "invalid_cursor")


@pytest.mark.one_database
@pytest.mark.parametrize(
    "change", [lambda c: c[:-1], lambda c: "x" + c, lambda c: c.upper(), lambda c: "nonsense"]
)
def test_an_altered_cursor_is_refused(seven: Person, change: Any) -> None:
    cursor = get(seven, f"{LIST}?per_page=2")["next_cursor"]
    assert refusal(seven, f"{LIST}?cursor={change(cursor)}") == (400, "invalid_cursor")


def test_a_cursor_signed_for_another_purpose_is_refused(context: Flask, owner: Person) -> None:
    foreign = sign(b'{"l": "", "q": {}}', "other")
    assert refusal(owner, f"{LIST}?cursor={foreign}") == (400, "invalid_cursor")


def test_a_cursor_of_many_filters_is_short_enough_to_come_back(context: Flask) -> None:
    many = "&".join(f"type=schedule.something_{number:03}" for number in range(120))
    with context.test_request_context(f"/api/audit?{many}"):
        cursor = paging._write_cursor("2026-01-01T00:00:00", ID)
        assert len(cursor) < 2_000
        assert len(paging.read_cursor(cursor)["q"]["type"]) == 120


def test_links_lead_to_the_next_and_the_previous_page_with_the_same_filters(seven: Person) -> None:
    answer = seven.get(f"{LIST}?page=2&per_page=3&unread=true")
    found = links(answer.headers)
    assert found.keys() == {"next", "prev"}
    assert titles(get(seven, found["next"])) == [0]
    assert titles(get(seven, found["prev"])) == [6, 5, 4]


def test_links_of_a_cursor_lead_through_all_rows(seven: Person) -> None:
    cursor = get(seven, f"{LIST}?per_page=2&unread=true")["next_cursor"]
    path: str | None = f"{LIST}?cursor={cursor}&per_page=2"
    seen = []
    while path:
        answer = seven.get(path)
        assert answer.json is not None
        seen.append(titles(answer.json))
        path = links(answer.headers).get("next")
    assert seen == [[4, 3], [2, 1], [0]]


def test_a_repeated_filter_is_kept_in_links_and_cursors(owner: Person) -> None:
    for number in range(3):
        made = {"name": f"s{number}", "action": "reminder", "params": {"message": "x"}, "every": 86_400}
        assert owner.post("/api/schedules", made).status_code == 201
    path = "/api/schedules?status=active&status=paused&sort=name&per_page=1"
    answer = owner.get(path)
    assert answer.json is not None
    by_link = get(owner, links(answer.headers)["next"])
    by_cursor = get(owner, f"/api/schedules?per_page=1&cursor={answer.json['next_cursor']}")
    assert [page["items"][0]["name"] for page in (answer.json, by_link, by_cursor)] == ["s0", "s1", "s1"]


def test_each_person_sees_a_list_of_their_own(seven: Person, teammate: Person, client: FlaskClient) -> None:
    assert get(teammate, LIST)["total"] == 0
    assert client.get(LIST).status_code == 401
