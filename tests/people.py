"""People who use the API in tests: each has an account and a signed-in client."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.accounts import passwords, service, sign_in
from taskapi.core.access import Actor
from taskapi.core.db import transaction
from taskapi.core.events import record_event
from taskapi.core.runtime import runtime_settings

if TYPE_CHECKING:

    class Answer(TestResponse):
        """An answer whose body is known to be JSON."""

        json: Any


PASSWORD = "correct horse battery"
# As strong as users' passwords get it, which costs a core some 40 ms each time: the rest of the
# suite signs in a thousand times and proves nothing about it.
STRONG_HASHER = passwords._hasher
STRONG_HASH = STRONG_HASHER.hash(PASSWORD)
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
passwords._dummy_hash = passwords.hash_password("no account has this password")
PASSWORD_HASH = passwords.hash_password(PASSWORD)


@dataclass(frozen=True)
class Person:
    """A signed-in user. The methods call the API and return its answer."""

    id: UUID
    email: str
    actor: Actor
    access_token: str
    refresh_token: str
    client: FlaskClient

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> "Answer":
        headers = {"Authorization": f"Bearer {self.access_token}", **options.pop("headers", {})}
        return cast("Answer", self.client.open(path, method=method, json=json, headers=headers, **options))

    def get(self, path: str, **options: Any) -> "Answer":
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> "Answer":
        return self.call("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> "Answer":
        return self.call("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> "Answer":
        return self.call("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> "Answer":
        return self.call("DELETE", path, **options)


def make_person(app: Flask, email: str, *, role: str = "user", timezone: str = "UTC") -> Person:
    """Create an account and sign it in; the password is hashed once for all tests."""
    with app.app_context():
        with transaction():
            user = service.create_user(email=email, password_hash=PASSWORD_HASH, role=role, timezone=timezone)
            pair = sign_in.start_session(settings=runtime_settings(), user_id=user.id)
        actor = sign_in.authenticate(pair.access_token)
    return Person(user.id, email, actor, pair.access_token, pair.refresh_token, app.test_client())


def program_of(person: Person, *scopes: str) -> Person:
    """A program with a personal access token of somebody's; it has no session to refresh."""
    answer = person.post("/api/auth/tokens", {"name": "a program", "scopes": scopes})
    assert answer.status_code == 201, answer.text
    return replace(person, access_token=answer.json["token"], refresh_token="")


def set_role(email: str, role: str) -> None:
    """As an administrator does, but also the last one may lose it; call it in a transaction."""
    user = service.get_user_by_login(login=email)
    user.role = role
    record_event("user.role_changed", subject=("user", user.id), owner_id=user.id)
