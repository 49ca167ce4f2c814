"""GET /api/notifications"""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.notifications.outbox import put_notifications
from tests.people import Person

PATH = "/api/notifications"


def titles(answer: Any) -> list[str]:
    return [item["title"] for item in answer.json["items"]]


def test_one_sees_ones_own_notifications_newest_first(app: Flask, owner: Person, teammate: Person) -> None:
    put_notifications(app, owner.id, 2)
    put_notifications(app, teammate.id, 1)
    answer = owner.get(PATH)
    assert titles(answer) == ["No. 1", "No. 0"]
    assert answer.json["total"] == 2


def test_a_notification_says_what_it_is_about(app: Flask, owner: Person) -> None:
    put_notifications(app, owner.id, 1)
    (item,) = owner.get(PATH).json["items"]
    assert item.keys() == {"id", "type", "title", "message", "task_id", "is_read", "created_at"}
    assert (item["type"], item["message"], item["is_read"]) == ("reminder", "m", False)


@pytest.mark.parametrize(("unread", "expected"), [("true", ["No. 1"]), ("FALSE", ["No. 0"])])
def test_the_list_is_filtered_by_unread(app: Flask, owner: Person, unread: str, expected: list[str]) -> None:
    put_notifications(app, owner.id, 2)
    oldest = owner.get(PATH).json["items"][1]["id"]
    owner.put(f"{PATH}/{oldest}/read")
    assert titles(owner.get(f"{PATH}?unread={unread}")) == expected


def test_a_cursor_walks_all_notifications(app: Flask, owner: Person) -> None:
    put_notifications(app, owner.id, 5)
    answer = owner.get(f"{PATH}?per_page=2&unread=true")
    found = titles(answer)
    while (cursor := answer.json["next_cursor"]) is not None:
        answer = owner.get(f"{PATH}?per_page=2&cursor={cursor}")
        found += titles(answer)
    assert found == ["No. 4", "No. 3", "No. 2", "No. 1", "No. 0"]


@pytest.mark.parametrize("query", ["unread=maybe", "unraed=true", "sort=title"])
def test_a_filter_that_cannot_be_understood_is_refused(owner: Person, query: str) -> None:
    assert owner.get(f"{PATH}?{query}").status_code == 422


@pytest.mark.parametrize("path", [PATH, f"{PATH}/unread-count"])
def test_a_stranger_sees_nothing(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 401
