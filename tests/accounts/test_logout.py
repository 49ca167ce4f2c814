"""POST /api/auth/logout and /api/auth/logout-all"""

from flask.testing import FlaskClient

from tests.accounts.helpers import body, code, exchange, log_in, show_me
from tests.people import Person


def test_signing_out_ends_both_tokens_at_once(client: FlaskClient, owner: Person) -> None:
    answer = owner.post("/api/auth/logout")
    assert (answer.status_code, answer.data) == (204, b"")
    assert code(owner.get("/api/auth/me")) == (401, "token_revoked")
    assert code(exchange(client, owner.refresh_token)) == (401, "token_revoked")


def test_other_sessions_go_on(client: FlaskClient, owner: Person) -> None:
    other = body(log_in(client, owner.email))
    owner.post("/api/auth/logout")
    assert show_me(client, other["access_token"]).status_code == 200


def test_signing_out_twice_is_refused_like_any_ended_token(owner: Person) -> None:
    owner.post("/api/auth/logout")
    assert code(owner.post("/api/auth/logout")) == (401, "token_revoked")


def test_signing_out_everywhere_ends_all_sessions(client: FlaskClient, owner: Person) -> None:
    other = body(log_in(client, owner.email))
    assert owner.post("/api/auth/logout-all").status_code == 204
    assert code(show_me(client, other["access_token"])) == (401, "token_revoked")
    assert code(exchange(client, other["refresh_token"])) == (401, "token_revoked")


def test_nobody_elses_session_ends(owner: Person, teammate: Person) -> None:
    owner.post("/api/auth/logout-all")
    assert teammate.get("/api/auth/me").status_code == 200


def test_after_signing_out_one_can_sign_in_again(client: FlaskClient, owner: Person) -> None:
    owner.post("/api/auth/logout-all")
    assert log_in(client, owner.email).status_code == 200


def test_who_is_not_signed_in_cannot_sign_out(client: FlaskClient) -> None:
    assert code(client.post("/api/auth/logout-all")) == (401, "unauthorized")
