"""/api/calendar/feeds: secret addresses for calendar programs."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.calendar.models import CalendarFeed
from taskapi.calendar.service import MAX_PER_USER
from taskapi.core.db import Base, session
from taskapi.core.runtime import runtime_settings
from tests.calendar.making import fetch, make_feed
from tests.people import PASSWORD, Person
from tests.settings import settings_changed

FEEDS = "/api/calendar/feeds"


def rows(app: Flask, statement: str) -> list[Any]:
    with app.app_context():
        return list(session().execute(sa.text(statement)).all())


def everything_stored(app: Flask) -> str:
    """Every value of every table."""
    with app.app_context():
        return "".join(
            str(list(session().execute(sa.select(table)))) for table in Base.metadata.sorted_tables
        )


def test_a_feed_has_a_secret_address_that_is_shown_once(owner: Person) -> None:
    answer = owner.post(FEEDS, {"name": " Work "})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["name"] == "Work"
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/calendar/tac_[\w-]{43}\.ics", answer.json["url"])
    shown = owner.get(answer.headers["Location"]).json
    assert shown == {key: value for key, value in answer.json.items() if key != "url"}
    assert owner.get(FEEDS).json["items"] == [shown]


def test_the_database_keeps_a_hash_of_the_address_only(app: Flask, owner: Person) -> None:
    answer = owner.post(FEEDS, {"name": "Work"}, headers={"Idempotency-Key": "one"})
    secret = re.findall(r"tac_[\w-]+", answer.json["url"])[0]
    stored = everything_stored(app)
    assert "Work" in stored
    assert secret not in stored


def test_a_request_that_is_repeated_gets_the_same_address(owner: Person) -> None:
    first, again = (owner.post(FEEDS, {"name": "Work"}, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert again.headers["Cache-Control"] == "no-store"
    assert owner.get(FEEDS).json["total"] == 1


def test_a_repeated_request_whose_address_cannot_be_read_any_more_makes_no_other(
    app: Flask, owner: Person
) -> None:
    token = owner.post("/api/auth/tokens", {"name": "program", "scopes": ["read", "write"]}).json["token"]
    headers = {"Idempotency-Key": "one", "Authorization": f"Bearer {token}"}
    client = app.test_client()
    with app.app_context():
        former = runtime_settings().secret_key
    made = client.post(FEEDS, json={"name": "Work"}, headers=headers)
    with settings_changed(app, secret_key="another secret that is long enough"):
        refused: Any = client.post(FEEDS, json={"name": "Work"}, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (409, "idempotent_answer_unreadable")
        assert owner.get(FEEDS, headers=headers).json["total"] == 1
        with settings_changed(app, secret_key_fallbacks=(former,)):
            assert client.post(FEEDS, json={"name": "Work"}, headers=headers).data == made.data


def test_a_deleted_feed_answers_404_at_once(owner: Person, feed: dict[str, Any]) -> None:
    other = make_feed(owner)
    assert fetch(owner.client, feed).status_code == 200
    assert owner.delete(f"{FEEDS}/{feed['id']}").status_code == 204
    assert fetch(owner.client, feed).status_code == 404
    assert fetch(owner.client, other).status_code == 200
    assert owner.delete(f"{FEEDS}/{feed['id']}").json["code"] == "calendar_feed_not_found"


def test_nobody_has_more_than_twenty(app: Flask, owner: Person, teammate: Person) -> None:
    with app.app_context():
        session().add_all(
            [CalendarFeed(user_id=owner.id, name="one", token_hash=str(n)) for n in range(MAX_PER_USER)]
        )
        session().commit()
    answer = owner.post(FEEDS, {"name": "one more"})
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_calendar_feeds")
    make_feed(teammate)


@pytest.mark.one_database("postgresql")
def test_requests_at_once_do_not_pass_the_limit(app: Flask, owner: Person) -> None:
    with app.app_context():
        session().add_all(
            [CalendarFeed(user_id=owner.id, name="one", token_hash=str(n)) for n in range(MAX_PER_USER - 1)]
        )
        session().commit()
    together = Barrier(4)

    def ask(client: FlaskClient) -> int:
        together.wait()
        headers = {"Authorization": f"Bearer {owner.access_token}"}
        return client.post(FEEDS, json={"name": "last"}, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(ask, [app.test_client() for _ in range(4)]))
    assert statuses == [201, 409, 409, 409]


def test_a_feed_needs_a_name(owner: Person) -> None:
    for body in ({}, {"name": " "}, {"name": "a\nb"}, {"name": "a" * 101}):
        assert owner.post(FEEDS, body).status_code == 422


def test_the_audit_tells_who_made_and_deleted_it(app: Flask, owner: Person) -> None:
    feed = make_feed(owner)
    owner.delete(f"{FEEDS}/{feed['id']}")
    told = rows(app, "SELECT type FROM events WHERE subject_type = 'calendar_feed' ORDER BY id")
    assert [kind for (kind,) in told] == ["calendar_feed.created", "calendar_feed.deleted"]


def test_closing_an_account_deletes_its_feeds(
    app: Flask, owner: Person, teammate: Person, feed: dict[str, Any]
) -> None:
    kept = make_feed(teammate)
    assert owner.delete("/api/auth/me", json={"password": PASSWORD}).status_code == 204
    assert fetch(teammate.client, feed).status_code == 404
    assert fetch(teammate.client, kept).status_code == 200
    assert len(rows(app, "SELECT id FROM calendar_feeds")) == 1
