"""PUT /api/notifications/{id}/read and PUT /api/notifications/read-all"""

from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.notifications.outbox import put_notifications
from tests.people import Person

PATH = "/api/notifications"


def first_id(person: Person) -> str:
    answer = person.get(PATH)
    return str(answer.json["items"][0]["id"])


def unread(person: Person) -> int:
    answer = person.get(f"{PATH}/unread-count")
    return int(answer.json["unread_count"])


def test_reading_one_twice_is_reading_it_once(app: Flask, owner: Person) -> None:
    put_notifications(app, owner.id, 2)
    path = f"{PATH}/{first_id(owner)}/read"
    answers = [owner.put(path), owner.put(path)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json["is_read"] for answer in answers] == [True, True]
    assert unread(owner) == 1


def test_a_teammates_notification_looks_like_one_that_does_not_exist(
    app: Flask, owner: Person, teammate: Person
) -> None:
    put_notifications(app, owner.id, 1)
    answers = [teammate.put(f"{PATH}/{one}/read") for one in (first_id(owner), uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert [answer.json["code"] for answer in answers] == ["notification_not_found"] * 2
    assert unread(owner) == 1


def test_reading_all_reads_only_ones_own(app: Flask, owner: Person, teammate: Person) -> None:
    put_notifications(app, owner.id, 3)
    put_notifications(app, teammate.id, 1)
    assert owner.put(f"{PATH}/read-all").json == {"unread_count": 0}
    assert (unread(owner), unread(teammate)) == (0, 1)


@pytest.mark.parametrize("path", [f"{PATH}/read-all", f"{PATH}/01a1fb5c-353e-71bc-81c9-7b9fbd7957db/read"])
def test_a_stranger_reads_nothing(client: FlaskClient, path: str) -> None:
    assert client.put(path).status_code == 401
