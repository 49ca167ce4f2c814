"""Setting a second factor up and switching it off: /api/auth/me/second-factor"""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from taskapi.accounts import second_factor
from taskapi.accounts.second_factor import ALPHABET
from taskapi.core.db import Base, session, transaction
from taskapi.core.events import Event
from taskapi.core.runtime import runtime_settings
from taskapi.environment import Rate
from tests.accounts.authenticator import (
    PATH,
    Authenticator,
    StandingClock,
    begin,
    codes_left,
    confirm,
    enable,
    remove,
    renew,
    sign_in,
)
from tests.accounts.helpers import code
from tests.people import PASSWORD, Person
from tests.settings import settings_changed

if TYPE_CHECKING:
    from tests.people import Answer


def events(app: Flask) -> list[Event]:
    with app.app_context():
        return list(session().scalars(sa.select(Event).where(Event.type.like("user.%")).order_by(Event.id)))


def test_beginning_shows_the_secret_and_the_address_of_a_qr_code(owner: Person) -> None:
    answer = begin(owner)
    assert (answer.status_code, answer.headers["Location"]) == (201, PATH)
    uri = urlsplit(answer.json["uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/taskapi:olivia@example.org")
    assert parse_qs(uri.query) == {"secret": [answer.json["secret"]], "issuer": ["taskapi"]}
    assert re.fullmatch("[A-Z2-7]{32}", answer.json["secret"])


def test_a_secret_that_is_not_confirmed_is_not_asked_for(client: FlaskClient, owner: Person) -> None:
    begin(owner)
    assert owner.get(PATH).json == {"enabled": False, "confirmed_at": None, "recovery_codes_left": 0}
    assert sign_in(client, owner).status_code == 200


def test_beginning_again_replaces_the_secret(owner: Person, time: StandingClock) -> None:
    first, second = (Authenticator(owner, begin(owner).json["secret"]) for _ in range(2))
    assert code(confirm(owner, first.code())) == (422, "wrong_code")
    assert confirm(owner, second.code()).status_code == 200


def test_the_first_code_enables_it(owner: Person, time: StandingClock) -> None:
    confirmed = confirm(owner, Authenticator(owner, begin(owner).json["secret"]).code())
    assert confirmed.status_code == 200
    state = owner.get(PATH).json
    assert (state["enabled"], state["recovery_codes_left"]) == (True, 10)
    assert state["confirmed_at"] == time.now.isoformat().replace("+00:00", "Z")


def test_a_wrong_first_code_enables_nothing(owner: Person, time: StandingClock) -> None:
    answer = confirm(owner, Authenticator(owner, begin(owner).json["secret"]).wrong_code())
    assert code(answer) == (422, "wrong_code")
    assert list(answer.json["errors"]) == ["code"]
    assert owner.get(PATH).json["enabled"] is False


def test_recovery_codes_are_ten_different_ones_too_long_to_guess(phone: Authenticator) -> None:
    group = f"[{ALPHABET}]{{5}}"
    assert len(set(phone.recovery_codes)) == 10
    assert all(re.fullmatch(f"{group}-{group}-{group}", each) for each in phone.recovery_codes)
    assert len(ALPHABET) ** 15 > 2**70


@pytest.mark.parametrize("path", ["confirm", "recovery-codes", ""])
def test_what_needs_a_factor_is_refused_without_one(owner: Person, path: str) -> None:
    if path == "confirm":
        answer = confirm(owner, "123456")
    else:
        answer = owner.post(f"{PATH}/{path}", {"password": PASSWORD}) if path else remove(owner, "123456")
    assert code(answer) == (409, "second_factor_not_enabled")


def test_one_in_use_is_neither_begun_nor_confirmed_again(phone: Authenticator) -> None:
    assert code(begin(phone.person)) == (409, "second_factor_enabled")
    assert code(confirm(phone.person, phone.code())) == (409, "second_factor_enabled")


def test_new_recovery_codes_end_the_old_ones(client: FlaskClient, phone: Authenticator) -> None:
    renewed = renew(phone.person).json["recovery_codes"]
    assert len(set(renewed) - set(phone.recovery_codes)) == 10
    old = sign_in(client, phone.person, code=phone.recovery_codes[0])
    assert code(old) == (401, "invalid_second_factor")
    assert sign_in(client, phone.person, code=renewed[0]).status_code == 200
    assert codes_left(phone.person) == 9


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_switches_it_off(client: FlaskClient, phone: Authenticator, kind: str) -> None:
    answer = remove(phone.person, phone.code() if kind == "app" else phone.recovery_codes[3])
    assert (answer.status_code, answer.data) == (204, b"")
    assert phone.person.get(PATH).json == {"enabled": False, "confirmed_at": None, "recovery_codes_left": 0}
    assert sign_in(client, phone.person).status_code == 200


def test_a_wrong_or_used_code_does_not_switch_it_off(client: FlaskClient, phone: Authenticator) -> None:
    used = phone.code()
    sign_in(client, phone.person, code=used)
    for bad in (used, phone.wrong_code(), "", "nonsense"):
        assert code(remove(phone.person, bad)) == (422, "wrong_code")
    assert phone.person.get(PATH).json["enabled"] is True


def test_it_can_be_set_up_anew_after_it_was_switched_off(
    client: FlaskClient, phone: Authenticator, time: StandingClock
) -> None:
    remove(phone.person, phone.code())
    again = enable(phone.person, time)
    assert code(sign_in(client, phone.person, code=phone.code())) == (401, "invalid_second_factor")
    assert code(sign_in(client, phone.person, code=phone.recovery_codes[0])) == (401, "invalid_second_factor")
    assert sign_in(client, phone.person, code=again.code()).status_code == 200


def test_a_stolen_session_without_the_password_changes_nothing(
    phone: Authenticator, teammate: Person
) -> None:
    assert code(begin(teammate, "wrong")) == (403, "wrong_password")
    assert code(remove(phone.person, phone.code(), "wrong")) == (403, "wrong_password")
    renewal = renew(phone.person, "wrong")
    assert code(renewal) == (403, "wrong_password")
    assert phone.person.get(PATH).json["enabled"] is True


def test_a_personal_token_is_asked_for_no_code_and_may_not_touch_the_factor(
    client: FlaskClient, phone: Authenticator
) -> None:
    token = phone.person.post("/api/auth/tokens", {"name": "ci", "scopes": ["read", "write"]}).json["token"]
    program = replace(phone.person, access_token=token)
    assert program.get("/api/auth/me").status_code == 200
    for answer in (
        program.get(PATH),
        begin(program),
        confirm(program, phone.code()),
        remove(program, phone.code()),
        renew(program),
    ):
        assert code(answer) == (403, "session_required")


def test_codes_cannot_be_guessed_by_who_is_signed_in(app: Flask, phone: Authenticator) -> None:
    with settings_changed(app, rate_limit_account=Rate(3, 60)):
        refused = [code(remove(phone.person, phone.wrong_code())) for _ in range(3)]
        assert refused == [(422, "wrong_code")] * 3
        assert code(remove(phone.person, phone.code())) == (429, "too_many_failures")


def test_the_first_code_cannot_be_guessed_either(app: Flask, owner: Person, time: StandingClock) -> None:
    phone = Authenticator(owner, begin(owner).json["secret"])
    with settings_changed(app, rate_limit_account=Rate(3, 60)):
        refused = [code(confirm(owner, phone.wrong_code())) for _ in range(3)]
        assert refused == [(422, "wrong_code")] * 3
        assert code(confirm(owner, phone.code())) == (429, "too_many_failures")
        time.forward(steps=2)
        assert confirm(owner, phone.code()).status_code == 200


@contextmanager
def while_another_asks(app: Flask, ask: Callable[[], "Answer"], answers: list["Answer"]) -> Iterator[None]:
    """A transaction that ends only after somebody else asked; the answer they get is put into the list."""
    with ThreadPoolExecutor(1) as threads:
        with app.app_context(), transaction():
            yield
            asked = threads.submit(ask)
            # It waits for its turn by then.
            wait([asked], timeout=0.5)
        answers.append(asked.result(timeout=20))


def test_of_two_confirmations_at_once_one_shows_the_codes(
    app: Flask, owner: Person, time: StandingClock
) -> None:
    answers: list[Answer] = []
    first = Authenticator(owner, begin(owner).json["secret"]).code()
    with while_another_asks(app, lambda: confirm(owner, first), answers):
        second_factor.confirm(actor=owner.actor, code=first)
    assert [code(answer) for answer in answers] == [(409, "second_factor_enabled")]
    assert codes_left(owner) == 10


def test_recovery_codes_renewed_twice_at_once_are_still_ten(app: Flask, phone: Authenticator) -> None:
    answers: list[Answer] = []
    with while_another_asks(app, lambda: renew(phone.person), answers):
        second_factor.renew_recovery_codes(actor=phone.person.actor)
    assert [answer.status_code for answer in answers] == [200]
    assert codes_left(phone.person) == 10


def test_of_two_secrets_begun_at_once_the_later_one_counts(
    app: Flask, owner: Person, time: StandingClock
) -> None:
    answers: list[Answer] = []
    with while_another_asks(app, lambda: begin(owner), answers):
        second_factor.begin(settings=runtime_settings(), actor=owner.actor)
    (answer,) = answers
    assert confirm(owner, Authenticator(owner, answer.json["secret"]).code()).status_code == 200


def test_each_change_is_an_event(app: Flask, client: FlaskClient, phone: Authenticator) -> None:
    renew(phone.person)
    remove(phone.person, phone.code())
    found = [(event.type, event.owner_id, event.actor_id) for event in events(app)[-4:]]
    who = (phone.person.id, phone.person.id)
    assert found == [
        ("user.second_factor_begun", *who),
        ("user.second_factor_enabled", *who),
        ("user.recovery_codes_renewed", *who),
        ("user.second_factor_disabled", *who),
    ]


def stored(app: Flask) -> str:
    """Everything that the database holds, as text."""
    with app.app_context():
        rows = [row for table in Base.metadata.sorted_tables for row in session().execute(sa.select(table))]
    return json.dumps([list(map(str, row)) for row in rows])


def test_no_secret_is_stored_or_logged_readably(app: Flask, client: FlaskClient, owner: Person) -> None:
    lines = io.StringIO()
    handler, root = logging.StreamHandler(lines), logging.getLogger()
    root.addHandler(handler)
    root.setLevel("DEBUG")
    phone = Authenticator(owner, begin(owner).json["secret"])
    used = [phone.code(), phone.wrong_code()]
    recovery_codes = confirm(owner, used[0]).json["recovery_codes"]
    sign_in(client, owner, code=used[1])
    sign_in(client, owner, code=recovery_codes[0])
    root.removeHandler(handler)
    root.setLevel("WARNING")
    kept = stored(app) + lines.getvalue()
    assert "user.recovery_code_used" in kept
    for secret in (phone.secret, *used, *recovery_codes, *(each.replace("-", "") for each in recovery_codes)):
        assert secret not in kept
