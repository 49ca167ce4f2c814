"""POST, GET and DELETE /api/auth/tokens, and what such a token may do"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts import personal_tokens
from taskapi.accounts.models import PersonalToken, User
from taskapi.accounts.tokens import hash_token
from taskapi.core import clock
from taskapi.core.db import Base, db, session, transaction
from taskapi.core.events import Event
from taskapi.core.json import format_time
from tests.accounts.helpers import bearer, body, code, exchange, log_in
from tests.people import Person, set_role
from tests.schedules.making import REMINDER, Time

PATH = "/api/auth/tokens"
EVERY_HOUR = {**REMINDER, "every": 3600}


def make_token(person: Person, *scopes: str, **fields: Any) -> dict[str, Any]:
    answer = person.post(PATH, {"name": "script", "scopes": list(scopes) or ["read"], **fields})
    assert answer.status_code == 201, answer.text
    return body(answer)


def call(client: FlaskClient, method: str, path: str, token: str, json: Any = None) -> TestResponse:
    return client.open(path, method=method, headers=bearer(token), json=json)


def show(client: FlaskClient, made: dict[str, Any]) -> TestResponse:
    return call(client, "GET", "/api/auth/me", made["token"])


def later(**delta: float) -> Time:
    return Time(clock.now() + timedelta(**delta))


def change_owner(app: Flask, person: Person, **values: Any) -> None:
    with app.app_context(), transaction():
        session().execute(sa.update(User).where(User.id == person.id).values(**values))


def test_the_location_of_a_new_token_shows_it_without_its_secret(owner: Person) -> None:
    answer = owner.post(PATH, {"name": "backup", "scopes": ["read"]})
    made = body(answer)
    del made["token"]
    assert body(owner.get(answer.headers["Location"])) == made


def test_a_token_that_is_deleted_or_anothers_is_not_found(owner: Person, teammate: Person) -> None:
    deleted, theirs = make_token(owner)["id"], make_token(teammate)["id"]
    owner.delete(f"{PATH}/{deleted}")
    for unseen in (deleted, theirs, uuid4()):
        assert code(owner.get(f"{PATH}/{unseen}")) == (404, "token_not_found")


def test_a_new_token_shows_its_secret_and_where_it_is(owner: Person) -> None:
    answer = owner.post(PATH, {"name": " backup ", "scopes": ["read"]})
    made = body(answer)
    assert re.fullmatch(r"tap_[A-Za-z0-9_-]{43}", made["token"])
    assert (made["name"], made["scopes"]) == ("backup", ["read"])
    assert (made["expires_at"], made["last_used_at"]) == (None, None)
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"


def test_the_secret_is_never_shown_again(owner: Person) -> None:
    made = make_token(owner)
    listed = owner.get(PATH)
    assert made.pop("token") not in listed.text
    assert body(listed)["items"] == [made]


def test_no_usable_token_is_in_the_database(context: Flask, owner: Person) -> None:
    """A thief of a dump of the database gets no usable token: only its hash is stored."""
    made = make_token(owner)
    with db.engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        dump = " ".join(str(row) for table in tables for row in connection.execute(sa.select(table)))
    assert made["token"] not in dump
    assert hash_token(made["token"]) in dump
    assert code(call(context.test_client(), "GET", "/api/auth/me", hash_token(made["token"])))[0] == 401


def test_tokens_are_listed_newest_first_in_pages(owner: Person) -> None:
    names = ["one", "two", "three"]
    for name in names:
        make_token(owner, name=name)
    first = body(owner.get(f"{PATH}?per_page=2"))
    rest = body(owner.get(f"{PATH}?per_page=2&cursor={first['next_cursor']}"))
    assert [item["name"] for page in (first, rest) for item in page["items"]] == names[::-1]


def test_nobody_elses_tokens_are_listed(owner: Person, admin: Person) -> None:
    make_token(owner)
    assert body(admin.get(PATH))["total"] == 0


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(["WRITE", "read", "Read"], ["read", "write"]), (["write"], ["write"])],
)
def test_scopes_are_read_in_any_case_and_once(owner: Person, sent: list[str], kept: list[str]) -> None:
    assert make_token(owner, *sent)["scopes"] == kept


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": [["read"]]}, "scopes.0"),
        ({"scopes": None}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2150-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"user_id": "1"}, "user_id"),
        ({"token": "tap_x"}, "token"),
    ],
)
def test_what_makes_no_sense_is_refused(owner: Person, fields: dict[str, Any], wrong: str) -> None:
    answer = owner.post(PATH, {"name": "script", "scopes": ["read"], **fields})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [wrong])


@pytest.mark.parametrize("scopes", [["admin"], ["read", "ADMIN"]])
def test_a_token_is_never_wider_than_who_made_it(owner: Person, scopes: list[str]) -> None:
    assert code(owner.post(PATH, {"name": "x", "scopes": scopes})) == (403, "admin_only")
    assert body(owner.get(PATH))["total"] == 0


def test_an_admin_may_give_the_scope_admin(admin: Person) -> None:
    assert make_token(admin, "admin")["scopes"] == ["admin"]


def test_a_token_with_the_scope_read_reads_and_does_not_write(client: FlaskClient, owner: Person) -> None:
    """A token without the scope is told which one is missing."""
    made = make_token(owner, "read")
    assert show(client, made).status_code == 200
    refused = call(client, "POST", "/api/schedules", made["token"], EVERY_HOUR)
    assert code(refused) == (403, "missing_scope")
    assert "'write'" in body(refused)["detail"]


def test_scopes_are_independent(client: FlaskClient, owner: Person) -> None:
    made = make_token(owner, "write")
    assert call(client, "POST", "/api/schedules", made["token"], EVERY_HOUR).status_code == 201
    assert code(show(client, made)) == (403, "missing_scope")


def actor_of(app: Flask, made: dict[str, Any]) -> Any:
    with app.app_context():
        return personal_tokens.authenticate(made["token"])


def test_an_admins_token_without_the_scope_is_no_admins(app: Flask, admin: Person) -> None:
    assert not actor_of(app, make_token(admin, "read", "write")).is_admin
    assert actor_of(app, make_token(admin, "admin")).is_admin


def test_an_admins_token_without_the_scope_sees_only_their_own(
    client: FlaskClient, admin: Person, owner: Person
) -> None:
    owner.post("/api/schedules", EVERY_HOUR)
    totals = [
        body(call(client, "GET", "/api/schedules", make_token(admin, *scopes)["token"]))["total"]
        for scopes in (["read"], ["read", "admin"])
    ]
    assert totals == [0, 1]


def test_the_token_of_a_demoted_admin_loses_the_scope_at_once(app: Flask, admin: Person) -> None:
    made = make_token(admin, "read", "admin")
    with app.app_context(), transaction():
        set_role(admin.email, "user")
    actor = actor_of(app, made)
    assert (actor.is_admin, actor.scopes) == (False, {"read"})


SESSION_ONLY = [
    ("POST", PATH, {"name": "x", "scopes": ["read"]}),
    ("GET", PATH, None),
    ("DELETE", f"{PATH}/01999999-0000-7000-8000-000000000000", None),
    ("GET", "/api/auth/sessions", None),
    ("DELETE", "/api/auth/sessions/01999999-0000-7000-8000-000000000000", None),
    ("POST", "/api/auth/logout", None),
    ("POST", "/api/auth/logout-all", None),
    ("DELETE", "/api/auth/me", {"password": "correct horse battery"}),
]


@pytest.mark.parametrize(("method", "path", "json"), SESSION_ONLY)
def test_a_token_does_not_do_what_takes_a_session(
    client: FlaskClient, admin: Person, owner: Person, method: str, path: str, json: Any
) -> None:
    """A personal access token makes no tokens, and ends no session and no account."""
    made = make_token(admin, "read", "write", "admin")
    assert code(call(client, method, path, made["token"], json)) == (403, "session_required")


def test_a_token_is_no_refresh_token_and_no_password(client: FlaskClient, owner: Person) -> None:
    """A personal access token is refused where one signs in."""
    token = make_token(owner)["token"]
    assert code(exchange(client, token)) == (401, "invalid_token")
    assert code(log_in(client, owner.email, token)) == (401, "invalid_credentials")


def test_a_deleted_token_stops_working_at_once(client: FlaskClient, owner: Person) -> None:
    made = make_token(owner)
    answer = owner.delete(f"{PATH}/{made['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    refused = show(client, made)
    assert code(refused) == (401, "invalid_token")
    assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_a_foreign_and_a_missing_token_answer_alike(
    client: FlaskClient, owner: Person, teammate: Person
) -> None:
    made = make_token(teammate)
    answers = [body(owner.delete(f"{PATH}/{wanted}")) for wanted in (made["id"], uuid4())]
    for answer in answers:
        del answer["request_id"]
    assert answers[0] == answers[1]
    assert (answers[0]["status"], answers[0]["code"]) == (404, "token_not_found")
    assert show(client, made).status_code == 200


def test_a_token_expires(client: FlaskClient, owner: Person) -> None:
    end = clock.now() + timedelta(hours=1)
    made = make_token(owner, expires_at=format_time(end))
    assert show(client, made).status_code == 200
    with Time(end).running():
        assert code(show(client, made)) == (401, "token_expired")


def test_ten_years_are_allowed(owner: Person) -> None:
    make_token(owner, expires_at=format_time(clock.now() + timedelta(days=3652)))


def test_the_token_of_an_inactive_user_is_refused_at_once(
    app: Flask, client: FlaskClient, owner: Person
) -> None:
    """A disabled user's token is refused at once, and works again when they are let in again."""
    made = make_token(owner)
    change_owner(app, owner, is_active=False)
    assert code(show(client, made)) == (401, "token_revoked")
    change_owner(app, owner, is_active=True)
    assert show(client, made).status_code == 200


def test_signing_out_everywhere_leaves_tokens_alone(client: FlaskClient, owner: Person) -> None:
    made = make_token(owner)
    owner.post("/api/auth/logout-all")
    assert show(client, made).status_code == 200


def last_use(owner: Person) -> Any:
    return body(owner.get(PATH))["items"][0]["last_used_at"]


def test_its_use_is_noted_once_a_minute(client: FlaskClient, owner: Person) -> None:
    made = make_token(owner)
    noted = []
    with later(seconds=0).running() as time:
        for seconds in (0, 59, 1):
            time.pass_(seconds=seconds)
            show(client, made)
            noted.append(last_use(owner))
    assert noted[0] == noted[1] < noted[2]


REFUSE_UPDATES = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE UPDATE ON personal_tokens BEGIN SELECT RAISE(ABORT, 'no'); END",
        "DROP TRIGGER refuse",
    ],
    "postgresql": [
        "ALTER TABLE personal_tokens ADD CONSTRAINT refuse CHECK (last_used_at IS NULL)",
        "ALTER TABLE personal_tokens DROP CONSTRAINT refuse",
    ],
}


def test_a_use_that_cannot_be_noted_is_a_use_all_the_same(context: Flask, owner: Person) -> None:
    made = make_token(owner)
    begin, end = REFUSE_UPDATES[db.engine.dialect.name]
    with transaction():
        session().execute(sa.text(begin))
    answer = show(context.test_client(), made)
    with transaction():
        session().execute(sa.text(end))
    assert answer.status_code == 200
    assert last_use(owner) is None


def fill_up(app: Flask, person: Person) -> None:
    with app.app_context(), transaction():
        for number in range(personal_tokens.MAX_PER_USER - 1):
            token = PersonalToken(user_id=person.id, name="x", scopes=["read"], token_hash=str(number))
            session().add(token)


def test_one_has_a_hundred_tokens_at_most(app: Flask, owner: Person, teammate: Person) -> None:
    fill_up(app, owner)
    last = make_token(owner)
    assert code(owner.post(PATH, {"name": "x", "scopes": ["read"]})) == (409, "too_many_tokens")
    make_token(teammate)
    owner.delete(f"{PATH}/{last['id']}")
    make_token(owner)


def test_of_two_who_ask_for_the_last_place_at_once_one_gets_it(app: Flask, owner: Person) -> None:
    fill_up(app, owner)
    together = threading.Barrier(2, timeout=20)

    def ask(_number: int) -> int:
        together.wait()
        headers, sent = bearer(owner.access_token), {"name": "x", "scopes": ["read"]}
        return app.test_client().post(PATH, headers=headers, json=sent).status_code

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(ask, range(2))) == [201, 409]


def test_events_tell_of_tokens_without_their_secret(context: Flask, owner: Person) -> None:
    made = make_token(owner)
    owner.delete(f"{PATH}/{made['id']}")
    events = session().scalars(sa.select(Event).where(Event.subject_type == "token").order_by(Event.id)).all()
    assert [event.type for event in events] == ["token.created", "token.deleted"]
    assert events[0].after == {"name": "script", "scopes": ["read"], "expires_at": None}
    assert made["token"] not in str([vars(event) for event in events])
