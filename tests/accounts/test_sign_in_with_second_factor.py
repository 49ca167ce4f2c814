"""POST /api/auth/login of an account with a second factor"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts.models import SecondFactor, User
from taskapi.accounts.second_factor import CODES_A_DAY, SEAL, remove_factor, require_code
from taskapi.accounts.second_factor_queries import find_factor, take_step
from taskapi.accounts.throttle import forget_old_failures
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.events import Event
from taskapi.core.runtime import runtime_settings
from taskapi.core.signing import seal
from taskapi.environment import Rate
from tests.accounts.authenticator import (
    STEP,
    Authenticator,
    StandingClock,
    begin,
    codes_left,
    enable,
    remove,
    sign_in,
)
from tests.accounts.helpers import body, code, exchange, show_me
from tests.accounts.links import NEW_PASSWORD, reset, reset_token
from tests.people import PASSWORD, Person
from tests.settings import settings_changed
from tests.smtp import MailServer
from tests.work import tick

INVALID = (401, "invalid_second_factor")
REQUIRED = (401, "second_factor_required")


def test_password_and_code_sign_in(client: FlaskClient, phone: Authenticator) -> None:
    pair = body(sign_in(client, phone.person, code=phone.code()))
    assert show_me(client, pair["access_token"]).status_code == 200
    assert exchange(client, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize("sent", [{}, {"code": ""}, {"code": " - "}])
def test_the_password_alone_is_told_that_a_code_is_missing(
    client: FlaskClient, phone: Authenticator, sent: dict[str, str]
) -> None:
    answer = sign_in(client, phone.person, **sent)
    assert code(answer) == REQUIRED
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "access_token" not in body(answer)


def test_a_wrong_password_does_not_learn_of_the_factor_and_uses_no_code_up(
    client: FlaskClient, phone: Authenticator
) -> None:
    plain = sign_in(client, phone.person, "wrong password")
    with_code = sign_in(client, phone.person, "wrong password", code=phone.code())
    assert code(plain) == code(with_code) == (401, "invalid_credentials")
    assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_an_inactive_account_does_not_learn_of_the_factor(
    app: Flask, client: FlaskClient, phone: Authenticator
) -> None:
    with app.app_context(), transaction():
        session().get_one(User, phone.person.id).is_active = False
    assert code(sign_in(client, phone.person, code=phone.code())) == (401, "invalid_credentials")


def test_a_code_is_taken_once_within_its_window(
    client: FlaskClient, phone: Authenticator, time: StandingClock
) -> None:
    used = phone.code()
    assert sign_in(client, phone.person, code=used).status_code == 200
    assert code(sign_in(client, phone.person, code=used)) == INVALID
    time.forward()
    assert code(sign_in(client, phone.person, code=used)) == INVALID
    assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_the_code_that_confirmed_does_not_sign_in(client: FlaskClient, phone: Authenticator) -> None:
    assert code(sign_in(client, phone.person, code=phone.code(steps=-1))) == INVALID


def test_after_a_later_code_an_earlier_one_is_refused(client: FlaskClient, phone: Authenticator) -> None:
    assert sign_in(client, phone.person, code=phone.code(steps=1)).status_code == 200
    assert code(sign_in(client, phone.person, code=phone.code())) == INVALID


@pytest.mark.one_database
@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
def test_a_clock_may_be_one_step_wrong(
    client: FlaskClient, phone: Authenticator, time: StandingClock, steps: int, status: int
) -> None:
    time.forward(steps=10)
    assert sign_in(client, phone.person, code=phone.code(steps=steps)).status_code == status


@pytest.mark.parametrize("pattern", ["{} {}", "{}-{}", " {}\u2013{} ", "{}\u00a0{}"])
def test_blanks_and_dashes_in_a_code_do_not_matter(
    client: FlaskClient, phone: Authenticator, pattern: str
) -> None:
    digits = phone.code()
    assert sign_in(client, phone.person, code=pattern.format(digits[:3], digits[3:])).status_code == 200


def test_a_recovery_code_signs_in_once(app: Flask, client: FlaskClient, phone: Authenticator) -> None:
    assert sign_in(client, phone.person, code=phone.recovery_codes[0]).status_code == 200
    assert code(sign_in(client, phone.person, code=phone.recovery_codes[0])) == INVALID
    assert codes_left(phone.person) == 9
    with app.app_context():
        (event,) = session().scalars(sa.select(Event).where(Event.type == "user.recovery_code_used"))
    assert (event.owner_id, event.after) == (phone.person.id, {"recovery_codes_left": 9})


def test_a_recovery_code_may_be_typed_in_any_way(client: FlaskClient, phone: Authenticator) -> None:
    first, second, third = phone.recovery_codes[:3]
    for typed in (first.upper(), second.replace("-", ""), f" {third.replace('-', ' ')}"):
        assert sign_in(client, phone.person, code=typed).status_code == 200


def test_a_recovery_code_of_somebody_else_is_refused(
    client: FlaskClient, phone: Authenticator, teammate: Person, time: StandingClock
) -> None:
    theirs = enable(teammate, time)
    assert code(sign_in(client, phone.person, code=theirs.recovery_codes[0])) == INVALID
    assert code(sign_in(client, phone.person, code=theirs.code())) == INVALID
    assert codes_left(teammate) == 10


@pytest.mark.one_database
@pytest.mark.parametrize("wrong", ["nonsense", "1234567", "12345", "\uff11" * 6, "\u0661" * 6, "x" * 64])
def test_anything_else_is_no_code(client: FlaskClient, phone: Authenticator, wrong: str) -> None:
    assert code(sign_in(client, phone.person, code=wrong)) == INVALID


def test_a_code_of_unreasonable_length_is_refused_at_once(client: FlaskClient, phone: Authenticator) -> None:
    assert list(body(sign_in(client, phone.person, code="1" * 65))["errors"]) == ["code"]


def test_an_account_without_a_factor_ignores_a_code(
    client: FlaskClient, owner: Person, teammate: Person
) -> None:
    begin(teammate)
    assert sign_in(client, owner, code="123456").status_code == 200
    assert sign_in(client, teammate, code="123456").status_code == 200


def at_once(app: Flask, person: Person, codes: list[str]) -> list[tuple[int, str]]:
    """The answers to sign-ins at the same moment: status, and code of the problem."""
    together = threading.Barrier(len(codes), timeout=20)

    def ask(each: str) -> tuple[int, str]:
        together.wait()
        answer = sign_in(app.test_client(), person, code=each)
        return answer.status_code, body(answer).get("code", "")

    with ThreadPoolExecutor(len(codes)) as threads:
        return sorted(threads.map(ask, codes))


def test_of_sign_ins_with_one_code_at_once_one_succeeds(app: Flask, phone: Authenticator) -> None:
    assert at_once(app, phone.person, [phone.code()] * 4) == [(200, ""), *[INVALID] * 3]


def test_of_sign_ins_with_one_recovery_code_at_once_one_succeeds(app: Flask, phone: Authenticator) -> None:
    assert at_once(app, phone.person, phone.recovery_codes[:1] * 4) == [(200, ""), *[INVALID] * 3]
    assert codes_left(phone.person) == 9


def test_a_secret_that_was_replaced_since_it_was_read_takes_no_code(
    context: Flask, phone: Authenticator, time: StandingClock
) -> None:
    read = find_factor(phone.person.id)
    assert read is not None
    before = SecondFactor(user_id=read.user_id, created_at=read.created_at)
    remove(phone.person, phone.code())
    enable(phone.person, time)
    with transaction():
        assert not take_step(before, step=10**9, sealed_again="x")


def test_a_reset_of_the_password_does_not_switch_the_factor_off(
    app: Flask, client: FlaskClient, mail_server: MailServer, phone: Authenticator
) -> None:
    assert reset(client, reset_token(app, mail_server, phone.person)).status_code == 204
    assert code(sign_in(client, phone.person, NEW_PASSWORD)) == REQUIRED
    assert sign_in(client, phone.person, NEW_PASSWORD, code=phone.code()).status_code == 200


def test_wrong_codes_count_as_failed_sign_ins_although_they_are_refused(
    app: Flask, client: FlaskClient, phone: Authenticator, time: StandingClock
) -> None:
    with settings_changed(app, rate_limit_account=Rate(3, 60)):
        refused = [code(sign_in(client, phone.person, code=phone.wrong_code())) for _ in range(3)]
        assert refused == [INVALID] * 3
        answer = sign_in(client, phone.person, code=phone.code())
        assert code(answer) == (429, "too_many_failures")
        assert int(answer.headers["Retry-After"]) == 60
        time.forward(steps=2)
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_by_whichever_name_and_from_wherever_codes_count_together(
    app: Flask, client: FlaskClient, phone: Authenticator
) -> None:
    names = (phone.person.email, phone.person.actor.username)
    with settings_changed(app, rate_limit_account=Rate(4, 60)):
        answers = [
            client.post(
                "/api/auth/login",
                json={"username": names[number % 2], "password": PASSWORD, "code": phone.wrong_code()},
                environ_base={"REMOTE_ADDR": f"203.0.{number}.9"},
            )
            for number in range(6)
        ]
    assert [code(answer) for answer in answers] == [INVALID] * 4 + [(429, "too_many_failures")] * 2


def test_who_has_the_password_tries_no_more_than_fifty_codes_a_day(
    app: Flask, client: FlaskClient, phone: Authenticator, time: StandingClock
) -> None:
    def tries() -> Counter[tuple[int, str]]:
        """As many as may be, ten a minute, for half an hour."""
        counted: Counter[tuple[int, str]] = Counter()
        for _ in range(30):
            counted += Counter(
                code(sign_in(client, phone.person, code=phone.wrong_code())) for _ in range(11)
            )
            time.forward(steps=2)
            with app.app_context(), transaction():
                forget_old_failures(settings=runtime_settings())
        return counted

    with settings_changed(app, rate_limit_account=Rate(10, 60)):
        assert tries()[INVALID] == CODES_A_DAY
        answer = sign_in(client, phone.person, code=phone.code())
        assert code(answer) == (429, "too_many_failures")
        assert 20 * 3600 < int(answer.headers["Retry-After"]) <= 86_400
        time.forward(steps=86_400 / STEP)
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_the_owner_is_mailed_when_somebody_has_the_password_and_no_code(
    app: Flask, client: FlaskClient, phone: Authenticator, time: StandingClock, mail_server: MailServer
) -> None:
    tick(app)
    with settings_changed(app, rate_limit_account=Rate(10, 60)):
        for told in ([], [], ["Somebody signed in with your password, but not with a code"], [], []):
            mail_server.clear()
            assert code(sign_in(client, phone.person, code=phone.wrong_code())) == INVALID
            tick(app)
            assert [message["Subject"] for message in mail_server.messages] == told
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_of_many_wrong_codes_at_once_the_owner_is_told_once(app: Flask, phone: Authenticator) -> None:
    with settings_changed(app, rate_limit_account=Rate(10, 60)):
        assert at_once(app, phone.person, [phone.wrong_code()] * 8) == [INVALID] * 8
    with app.app_context():
        told = sa.select(sa.func.count()).where(Event.type == "user.second_factor_refused")
        assert session().scalar(told) == 1


@pytest.mark.parametrize("remedy", ["password", "factor"])
def test_another_password_or_factor_begins_the_count_anew(
    app: Flask, client: FlaskClient, phone: Authenticator, time: StandingClock, remedy: str
) -> None:
    with settings_changed(app, rate_limit_account=Rate(1, 60)):
        sign_in(client, phone.person, code=phone.wrong_code())
        assert code(sign_in(client, phone.person, code=phone.code()))[0] == 429
        if remedy == "password":
            sent = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
            assert phone.person.post("/api/auth/me/password", sent).status_code == 204
            assert sign_in(client, phone.person, NEW_PASSWORD, code=phone.code()).status_code == 200
        else:
            with app.app_context(), transaction():
                remove_factor(user_id=phone.person.id)
            assert sign_in(client, phone.person).status_code == 200


def test_guesses_at_once_do_not_slip_past_the_limit(app: Flask, phone: Authenticator) -> None:
    with settings_changed(app, rate_limit_account=Rate(3, 60)):
        answers = at_once(app, phone.person, [phone.wrong_code()] * 8)
    assert set(answers) == {INVALID, (429, "too_many_failures")}
    assert answers.count(INVALID) <= 3


def test_a_missing_code_is_no_failure(app: Flask, client: FlaskClient, phone: Authenticator) -> None:
    with settings_changed(app, rate_limit_account=Rate(2, 60)):
        for _ in range(4):
            assert code(sign_in(client, phone.person)) == REQUIRED
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def keys(app: Flask, key: str, *former: str) -> AbstractContextManager[None]:
    return settings_changed(app, secret_key=key, secret_key_fallbacks=former)


def test_codes_work_while_and_after_the_key_is_changed(
    app: Flask, client: FlaskClient, phone: Authenticator, time: StandingClock
) -> None:
    old, new = runtime_key(app), "another key that is long enough too"
    with keys(app, new, old):
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200
    time.forward()
    # It was sealed by the new key then.
    with keys(app, new):
        assert sign_in(client, phone.person, code=phone.code()).status_code == 200


def test_a_key_that_was_lost_leaves_the_recovery_codes(
    app: Flask, client: FlaskClient, phone: Authenticator
) -> None:
    with keys(app, "another key that is long enough too"):
        assert code(sign_in(client, phone.person, code=phone.code())) == INVALID
        assert sign_in(client, phone.person, code=phone.recovery_codes[0]).status_code == 200


def runtime_key(app: Flask) -> str:
    key: str = app.extensions["taskapi_settings"].secret_key
    return key


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("second", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_rfc_6238(context: Flask, owner: Person, second: int, digits: str) -> None:
    """Appendix B, SHA-1, the last six digits; its secret is 12345678901234567890."""
    sealed = seal("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", SEAL)
    moment = datetime.fromtimestamp(second, UTC)
    with clock.use(lambda: moment):
        with transaction():
            session().add(SecondFactor(user_id=owner.id, sealed_secret=sealed, confirmed_at=moment))
        require_code(settings=runtime_settings(), user_id=owner.id, code=digits, key="k")
