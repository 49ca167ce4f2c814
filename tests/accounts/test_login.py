"""POST /api/auth/login"""

import pytest
from flask.testing import FlaskClient

from tests.people import PASSWORD, Person


@pytest.mark.parametrize("login", [{"email": "olivia@example.org"}, {"username": "OLIVIA"}, {"username": "olivia@example.org"}])
def test_one_signs_in_by_email_or_username(client: FlaskClient, owner: Person, login: dict[str, str]) -> None:
    answer = client.post("/api/auth/login", json={**login, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["token_type"] == "bearer"
    assert answer.json["user"]["id"] == str(owner.id)
