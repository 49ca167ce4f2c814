"""Access: each endpoint says what it asks, and one that says nothing is closed."""

import pytest
from flask.testing import FlaskClient

SCOPES = ("none", "reader", "all", "admin-reader", "admin")
# By endpoint: what each caller of SCOPES gets; 403 codes are in words.
ALLOWED = {
    "/probe/None": (200, 200, 200, 200, 200),
    "/probe/read": ("missing_scope", 200, 200, 200, 200),
    "/probe/write": ("missing_scope", "missing_scope", 200, "missing_scope", 200),
    "/probe/admin": ("admin_only", "admin_only", "admin_only", "missing_scope", 200),
    "/probe/undeclared": ("forbidden",) * 5,
    "/health": (200,) * 5,
}


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.parametrize("caller", SCOPES)
def test_a_caller_gets_what_their_token_allows(floor: FlaskClient, path: str, caller: str) -> None:
    expected = ALLOWED[path][SCOPES.index(caller)]
    answer = floor.get(path, headers={"Authorization": f"Bearer {caller}"})
    assert answer.json is not None
    assert (answer.status_code if answer.status_code == 200 else answer.json["code"]) == expected


@pytest.mark.parametrize("path", [path for path in ALLOWED if path != "/health"])
def test_without_a_token_only_what_is_public_answers(floor: FlaskClient, path: str) -> None:
    assert floor.get(path).status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "all", "Bearer stranger", "Token all", "Bearerall"]
)
def test_another_header_is_no_sign_in(floor: FlaskClient, header: str) -> None:
    answer = floor.get("/probe/read", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("header", ["bearer all", "BEARER all", "Bearer   all "])
def test_the_scheme_is_read_in_any_case(floor: FlaskClient, header: str) -> None:
    assert floor.get("/probe/read", headers={"Authorization": header}).status_code == 200


def test_access_is_checked_before_the_request_is_read(floor: FlaskClient) -> None:
    assert floor.get("/probe/read?nonsense=1").status_code == 401
