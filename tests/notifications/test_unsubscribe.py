"""GET and POST /api/notifications/unsubscribe/{token}, and what they stop"""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.db import transaction
from taskapi.notifications.service import remind
from taskapi.notifications.unsubscribe import unsubscribe_url
from tests.notifications.outbox import emails, queue
from tests.people import Person

GUEST = "Guest@Example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def link(owner: Person, context: Flask) -> str:
    """The link in a reminder to the owner."""
    return urlsplit(unsubscribe_url(user_id=owner.id, address=owner.email, kind="reminder")).path


@pytest.fixture
def guest_link(context: Flask) -> str:
    """The link in a reminder to somebody who is no user."""
    return urlsplit(unsubscribe_url(user_id=None, address=GUEST, kind="reminder")).path


def remind_owner(owner: Person, *, to: str | None = None, key: str = "after") -> list[str]:
    with transaction():
        return remind(user_id=owner.id, title="Tea", message="At four.", to=to, key=key)


def test_opening_the_link_asks_and_stops_nothing(client: FlaskClient, owner: Person, link: str) -> None:
    answer = client.get(link)
    assert answer.mimetype == "text/html"
    assert "Stop e-mails about reminders?" in answer.text
    assert '<form method="post">' in answer.text
    assert remind_owner(owner) == [owner.email]


def test_one_click_stops_this_kind_of_email(client: FlaskClient, owner: Person, link: str) -> None:
    answer = client.post(link, data=ONE_CLICK)
    assert answer.status_code == 200
    assert "no more e-mails about reminders" in answer.text
    assert remind_owner(owner) == []
    assert emails() == []


def test_the_button_of_the_page_stops_it_too(client: FlaskClient, owner: Person, link: str) -> None:
    assert client.post(link, data={}).status_code == 200
    profile = owner.get("/api/auth/me").json
    assert profile["notification_preferences"] == {"email": {"reminder": False}}


def test_clicking_twice_is_clicking_once(client: FlaskClient, link: str) -> None:
    assert [client.post(link, data=ONE_CLICK).status_code for _ in range(2)] == [200, 200]


def test_other_preferences_stay_as_they_were(client: FlaskClient, owner: Person, link: str) -> None:
    owner.patch("/api/auth/me", {"notification_preferences": {"email": {"run_completed": False}}})
    client.post(link, data=ONE_CLICK)
    profile = owner.get("/api/auth/me").json
    assert profile["notification_preferences"]["email"] == {"run_completed": False, "reminder": False}


def test_the_page_loads_nothing_and_may_not_be_framed(client: FlaskClient, link: str) -> None:
    policy = client.get(link).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.one_database
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("change", [lambda t: t[:-3] + "abc", lambda t: "x" + t, lambda t: "nonsense"])
def test_an_altered_link_leads_nowhere(client: FlaskClient, link: str, method: str, change: object) -> None:
    path, _, token = link.rpartition("/")
    assert callable(change)
    answer = client.open(f"{path}/{change(token)}", method=method)
    assert answer.status_code == 404
    assert (answer.json or {})["code"] == "unknown_unsubscribe_link"


def test_an_address_that_asked_for_none_gets_none_however_it_is_written(
    client: FlaskClient, owner: Person, guest_link: str
) -> None:
    answer = client.post(guest_link, data=ONE_CLICK)
    assert "to this address" in answer.text
    assert remind_owner(owner, to=GUEST.lower()) == []
    assert not queue(recipient=GUEST.upper())
    assert emails() == []


def test_a_guests_link_stops_nobody_else(client: FlaskClient, owner: Person, guest_link: str) -> None:
    client.post(guest_link, data=ONE_CLICK)
    client.post(guest_link, data=ONE_CLICK)
    assert remind_owner(owner, to="other@example.com") == ["other@example.com"]


def test_a_link_whose_user_is_gone_still_answers(client: FlaskClient, context: Flask) -> None:
    url = unsubscribe_url(user_id=uuid4(), address="olivia@example.org", kind="run_failed")
    assert client.post(urlsplit(url).path, data=ONE_CLICK).status_code == 200
