"""Short ways to have tasks in tests."""

from typing import Any

from tests.people import Person


def make_task(person: Person, **fields: Any) -> dict[str, Any]:
    """A task of the person's, by the API; the answer's body."""
    answer = person.post("/api/tasks", {"title": "Water the plants", **fields})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json
    return task


def path_of(task: dict[str, Any]) -> str:
    return f"/api/tasks/{task['id']}"


def titles(person: Person, **query: Any) -> list[str]:
    """The titles on the first page of a list of tasks, in its order."""
    answer = person.get("/api/tasks", query_string={"per_page": 100, **query})
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json["items"]]
