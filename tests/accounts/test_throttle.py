"""Failed sign-ins are counted per account."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts import throttle
from taskapi.accounts.errors import WrongPassword
from taskapi.accounts.models import SignInFailures, SignInSession
from taskapi.accounts.throttle import counted_attempt, forget_failures, key_of_name
from taskapi.app import create_app
from taskapi.core import clock
from taskapi.core.db import db, session, transaction
from taskapi.core.runtime import runtime_settings
from taskapi.environment import Rate
from taskapi.ops.jobs import forget_old_rows
from tests.accounts.helpers import body, code, exchange, log_in
from tests.conftest import settings_for
from tests.people import PASSWORD, Person
from tests.schedules.making import Time
from tests.settings import settings_changed

LIMIT = 3
ELSEWHERE = "203.0.113.9"
REFUSED = (429, "too_many_failures")


@pytest.fixture(autouse=True)
def limited(app: Flask) -> Iterator[None]:
    with settings_changed(app, rate_limit_account=Rate(LIMIT, 60)):
        yield


@pytest.fixture
def time() -> Iterator[Time]:
    with Time(clock.now()).running() as running:
        yield running


def try_from(
    client: FlaskClient, address: str, login: str = "olivia@example.org", password: str = "wrong"
) -> TestResponse:
    return client.post(
        "/api/auth/login",
        json={"email": login, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )


def fail(client: FlaskClient, times: int = LIMIT, login: str = "olivia@example.org") -> list[tuple[int, str]]:
    """Wrong passwords, each from another address."""
    return [code(try_from(client, f"198.51.100.{number}", login)) for number in range(times)]


def close_password(person: Person, password: str) -> tuple[int, str]:
    return code(person.delete("/api/auth/me", json={"password": password}))


def counts(app: Flask) -> dict[str, int]:
    with app.app_context(), db.engine.connect() as connection:
        rows = connection.execute(sa.select(SignInFailures.key, SignInFailures.count))
        return {key: count for key, count in rows}  # noqa: C416 - a plain dict


def test_one_wrong_password_too_many_is_refused_from_whatever_address(
    client: FlaskClient, owner: Person
) -> None:
    assert fail(client, LIMIT) == [(401, "invalid_credentials")] * LIMIT
    answer = try_from(client, ELSEWHERE)
    assert code(answer) == REFUSED
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_then_the_right_password_is_refused_too(client: FlaskClient, owner: Person) -> None:
    fail(client)
    assert code(try_from(client, ELSEWHERE, password=PASSWORD)) == REFUSED


def test_failures_by_one_name_do_not_tell_that_another_is_of_the_same_account(
    client: FlaskClient, owner: Person
) -> None:
    fail(client, LIMIT, "Olivia")
    assert fail(client, 1, "olivia ") == [REFUSED]
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200


def test_an_unknown_name_is_refused_as_a_known_one_is(client: FlaskClient, owner: Person) -> None:
    known, unknown = (fail(client, LIMIT + 1, f"{name}@example.org") for name in ("olivia", "nobody"))
    assert known == unknown
    assert known[-1] == REFUSED
    assert fail(client, 1, "NOBODY@example.org ") == [REFUSED]


def test_other_accounts_are_not_touched(client: FlaskClient, owner: Person, teammate: Person) -> None:
    fail(client)
    assert log_in(client, teammate.email).status_code == 200


def test_when_the_window_is_over_one_may_try_again(client: FlaskClient, owner: Person, time: Time) -> None:
    fail(client)
    time.pass_(seconds=20)
    answer = try_from(client, ELSEWHERE)
    assert answer.headers["Retry-After"] == "40"
    time.pass_(seconds=40)
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200
    assert fail(client, LIMIT) == [(401, "invalid_credentials")] * LIMIT


def test_asking_again_while_refused_does_not_prolong_it(
    client: FlaskClient, owner: Person, time: Time
) -> None:
    fail(client)
    for _ in range(5):
        time.pass_(seconds=10)
        assert code(try_from(client, ELSEWHERE, password=PASSWORD)) == REFUSED
    time.pass_(seconds=10)
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200


def test_who_signs_in_often_is_not_refused(client: FlaskClient, owner: Person) -> None:
    answers = [try_from(client, ELSEWHERE, password=PASSWORD).status_code for _ in range(LIMIT + 2)]
    assert answers == [200] * (LIMIT + 2)


def test_a_success_takes_back_its_own_count_only(client: FlaskClient, app: Flask, owner: Person) -> None:
    fail(client, LIMIT - 1)
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200
    assert counts(app) == {key_of_name(owner.email): LIMIT - 1}


def test_guesses_at_the_same_moment_do_not_slip_past(app: Flask, owner: Person) -> None:
    together = threading.Barrier(LIMIT + 5, timeout=20)

    def guess(number: int) -> int:
        together.wait()
        return try_from(app.test_client(), f"198.51.100.{number}").status_code

    with ThreadPoolExecutor(LIMIT + 5) as threads:
        answers = sorted(threads.map(guess, range(LIMIT + 5)))
    assert answers == [401] * LIMIT + [429] * 5


def test_a_refused_guess_is_not_even_compared(
    client: FlaskClient, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(client)
    monkeypatch.setattr("taskapi.accounts.sign_in.verify_password", lambda *_arguments: pytest.fail("hashed"))
    assert code(try_from(client, ELSEWHERE, password=PASSWORD)) == REFUSED


def test_an_outsider_does_not_lock_out_an_owner_who_is_signed_in(client: FlaskClient, owner: Person) -> None:
    fail(client)
    assert owner.get("/api/auth/me").status_code == 200
    assert exchange(client, owner.refresh_token).status_code == 200


def test_from_where_the_owner_is_signed_in_an_outsider_does_not_lock_them_out(
    client: FlaskClient, owner: Person
) -> None:
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200
    fail(client)
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200


def test_from_there_guesses_are_counted_all_the_same(client: FlaskClient, owner: Person) -> None:
    try_from(client, ELSEWHERE, password=PASSWORD)
    answers = [code(try_from(client, ELSEWHERE)) for _ in range(LIMIT + 1)]
    assert answers == [(401, "invalid_credentials")] * LIMIT + [REFUSED]


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_place_where_one_was_signed_in_lately_still_lets_one_in(
    app: Flask, client: FlaskClient, owner: Person, column: str
) -> None:
    try_from(client, ELSEWHERE, password=PASSWORD)
    with app.app_context(), transaction():
        session().execute(sa.update(SignInSession).values({column: clock.now()}))
    fail(client)
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200


@pytest.mark.parametrize(("address", "status"), [("2001:db8:0:1::9", 200), ("2001:db8:0:2::1", 429)])
def test_of_an_ipv6_address_the_network_counts(
    client: FlaskClient, owner: Person, address: str, status: int
) -> None:
    try_from(client, "2001:db8:0:1::1", password=PASSWORD)
    fail(client)
    assert try_from(client, address, password=PASSWORD).status_code == status


def test_a_wrong_password_of_ones_own_is_counted(owner: Person) -> None:
    answers = [close_password(owner, "wrong") for _ in range(LIMIT)]
    assert answers == [(403, "wrong_password")] * LIMIT
    assert close_password(owner, PASSWORD) == REFUSED


def test_an_outsider_does_not_keep_an_owner_from_proving_themselves(
    client: FlaskClient, owner: Person
) -> None:
    fail(client)
    assert owner.delete("/api/auth/me", json={"password": PASSWORD}).status_code == 204


def test_after_a_reset_everybody_may_try_again(app: Flask, client: FlaskClient, owner: Person) -> None:
    fail(client)
    fail(client, LIMIT, "olivia")
    close_password(owner, "wrong")
    with app.app_context(), transaction():
        forget_failures(owner.id)
    assert counts(app) == {}
    assert try_from(client, ELSEWHERE, password=PASSWORD).status_code == 200


def test_the_failures_of_others_stay_after_a_reset(
    app: Flask, client: FlaskClient, owner: Person, teammate: Person
) -> None:
    fail(client, 1)
    with app.app_context(), transaction():
        forget_failures(teammate.id)
    assert list(counts(app)) == [key_of_name(owner.email)]


def test_it_holds_while_redis_is_away(app: Flask, owner: Person, tmp_path: Path) -> None:
    """The eleventh wrong password of an account, each from another address, is refused without Redis."""
    settings = settings_for(
        tmp_path,
        "redis://127.0.0.1:1",
        DATABASE_URL=app.config["SQLALCHEMY_DATABASE_URI"],
        RATE_LIMIT_ACCOUNT="10/minute",
    )
    alone = create_app(settings)
    answers = fail(alone.test_client(), 11)
    with alone.app_context():
        db.engine.dispose()
    assert answers == [(401, "invalid_credentials")] * 10 + [REFUSED]


def test_it_can_be_switched_off(app: Flask, client: FlaskClient, owner: Person) -> None:
    with settings_changed(app, rate_limit_account=None):
        assert fail(client, LIMIT + 2) == [(401, "invalid_credentials")] * (LIMIT + 2)
        assert counts(app) == {}


@pytest.mark.parametrize(("seconds", "left"), [(59, 1), (60, 0)])
def test_counts_whose_window_is_over_are_removed(
    app: Flask, client: FlaskClient, owner: Person, time: Time, seconds: float, left: int
) -> None:
    fail(client, 1)
    time.pass_(seconds=seconds)
    with app.app_context():
        forget_old_rows()
    assert len(counts(app)) == left


def test_a_failure_is_never_counted_where_it_could_be_rolled_back(context: Flask) -> None:
    attempt = counted_attempt(settings=runtime_settings(), key="k")
    with pytest.raises(RuntimeError, match="outside"), transaction(), attempt:
        pass


def test_a_name_is_kept_as_a_hash(app: Flask, client: FlaskClient) -> None:
    fail(client, 1, "my-secret-typed-as-a-name")
    (key,) = counts(app)
    assert len(key) == 64
    assert "secret" not in key


def test_who_is_signed_in_is_counted_by_their_session(context: Flask, owner: Person) -> None:
    with suppress(WrongPassword):
        throttle.require_password(settings=runtime_settings(), actor=owner.actor, password="wrong")
    assert counts(context) == {f"{owner.id}@{owner.actor.session_id}": 1}


def test_the_answer_explains_itself(client: FlaskClient, owner: Person) -> None:
    fail(client)
    told = body(try_from(client, ELSEWHERE))
    assert client.get(told["type"].removeprefix("http://127.0.0.1:8000")).status_code == 200
