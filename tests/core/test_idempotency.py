"""Idempotency-Key: a POST that is repeated answers again instead of acting again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import db, session, transaction
from taskapi.core.idempotency import IdempotencyKey, forget_old_keys
from tests.people import Person
from tests.schedules.making import REMINDER, make

BODY = {**REMINDER, "every": 3600}


def post(person: Person, key: str, body: dict[str, Any] | None = None) -> Any:
    return person.post("/api/schedules", body or BODY, headers={"Idempotency-Key": key})


def schedules(person: Person) -> int:
    total: int = person.get("/api/schedules").json["total"]
    return total


def test_the_same_key_and_body_give_the_first_answer_again(owner: Person) -> None:
    first, again = post(owner, "k1"), post(owner, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == again.headers[name]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert schedules(owner) == 1


def test_another_key_makes_another(owner: Person) -> None:
    assert post(owner, "k1").json["id"] != post(owner, "k2").json["id"]


def test_the_same_key_with_another_body_is_refused(owner: Person) -> None:
    post(owner, "k1")
    answer = post(owner, "k1", {**BODY, "every": 7200})
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert schedules(owner) == 1


def test_another_users_key_is_independent(owner: Person, teammate: Person) -> None:
    assert post(owner, "k1").json["id"] != post(teammate, "k1").json["id"]


def test_the_same_key_on_another_path_is_independent(owner: Person) -> None:
    schedule = make(owner, every=3600)
    runs = {
        owner.post(f"/api/schedules/{schedule['id']}/run", headers={"Idempotency-Key": key}).json["id"]
        for key in ("k1", "k1", "k2")
    }
    assert len(runs) == 2
    assert post(owner, "k1").status_code == 201


def test_a_trailing_slash_is_the_same_path(owner: Person) -> None:
    first = post(owner, "k1")
    again = owner.post("/api/schedules/", BODY, headers={"Idempotency-Key": "k1"})
    assert first.json["id"] == again.json["id"]


def test_a_refusal_keeps_nothing_so_the_key_may_be_tried_again(owner: Person, context: Flask) -> None:
    assert post(owner, "k1", {**BODY, "every": -1}).status_code == 422
    assert session().scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) == 0
    assert post(owner, "k1").status_code == 201


def test_a_rollback_takes_the_key_with_it(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskapi.schedules.service.schedule_state", lambda _schedule: 1 / 0)
    assert post(owner, "k1").status_code == 500
    monkeypatch.undo()
    answer = post(owner, "k1")
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)


@pytest.mark.one_database("postgresql")
@pytest.mark.parametrize("was_committed", [False, True], ids=["lost", "kept"])
def test_a_commit_that_was_cut_off_is_answered_as_unknown_and_may_be_asked_for_again(
    context: Flask, owner: Person, was_committed: bool
) -> None:
    def cut_off(connection: sa.Connection) -> None:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        if was_committed:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.commit()
            # Without an open transaction the driver would have nothing to commit.
            driver.execute("SELECT 1")
        with db.engine.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    sa.event.listen(db.engine, "commit", cut_off, once=True)
    answer = post(owner, "k1")
    assert (answer.status_code, answer.json["code"]) == (503, "outcome_unknown")
    assert answer.headers["Retry-After"] == "1"
    assert schedules(owner) == was_committed
    assert post(owner, "k1").status_code == 201
    assert schedules(owner) == 1


def test_after_a_day_the_key_is_new_again(owner: Person) -> None:
    first = post(owner, "k1")
    later = clock.now() + timedelta(hours=24)
    with clock.use(lambda: later):
        token = owner.client.post(
            "/api/auth/login", json={"email": owner.email, "password": "correct horse battery"}
        ).json
        assert token is not None
        headers = {"Idempotency-Key": "k1", "Authorization": f"Bearer {token['access_token']}"}
        again = owner.client.post("/api/schedules", json=BODY, headers=headers)
        assert again.json is not None
        assert again.json["id"] != first.json["id"]


def test_keys_older_than_a_day_are_removed(owner: Person, context: Flask) -> None:
    post(owner, "k1")
    with transaction():
        forget_old_keys()
    assert session().scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) == 1
    later = clock.now() + timedelta(hours=24)
    with clock.use(lambda: later), transaction():
        forget_old_keys()
    assert session().scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) == 0


@pytest.mark.one_database
@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "schlüssel"])
def test_a_key_that_is_none_is_refused(owner: Person, key: str) -> None:
    answer = post(owner, key)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["Idempotency-Key"]


def test_a_key_on_a_request_that_creates_nothing_means_nothing(owner: Person) -> None:
    path = f"/api/schedules/{make(owner, every=3600)['id']}/pause"
    for _ in range(2):
        answer = owner.post(path, headers={"Idempotency-Key": "k1"})
        assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)


def test_it_is_not_honoured_where_credentials_are_handed_out(owner: Person, context: Flask) -> None:
    body = {"email": "new@example.org", "password": "correct horse battery"}
    headers = {"Idempotency-Key": "k1"}
    assert owner.client.post("/api/auth/register", json=body, headers=headers).status_code == 201
    assert owner.client.post("/api/auth/register", json=body, headers=headers).status_code == 409
    assert session().scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) == 0


def test_of_twenty_requests_with_one_key_at_once_one_creates_and_all_get_its_answer(owner: Person) -> None:
    start = Barrier(20)
    application = owner.client.application

    def send(_number: int) -> tuple[int, bytes]:
        headers = {"Idempotency-Key": "k1", "Authorization": f"Bearer {owner.access_token}"}
        client = application.test_client()
        start.wait()
        answer = client.post("/api/schedules", json=BODY, headers=headers)
        return answer.status_code, answer.data

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(send, range(20)))
    assert len(answers) == 1, answers
    assert {status for status, _body in answers} == {201}
    assert schedules(owner) == 1
