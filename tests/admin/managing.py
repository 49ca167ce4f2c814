"""Short ways for tests of the administrators' API."""

from typing import Any

from tests.people import Person

USERS = "/api/admin/users"


def user_path(person: Person) -> str:
    return f"{USERS}/{person.id}"


def names(admin: Person, **query: Any) -> list[str]:
    """The usernames on the first page of the list of users, in its order."""
    answer = admin.get(USERS, query_string=query)
    assert answer.status_code == 200, answer.text
    return [user["username"] for user in answer.json["items"]]


def fates(answer: Any) -> dict[tuple[str, str], int]:
    """How many of which things came to what."""
    assert answer.status_code == 200, answer.text
    return {(fate["thing"], fate["outcome"]): fate["count"] for fate in answer.json["things"]}
