"""Tags: one list for the installation; who made one changes it."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.people import Person
from tests.tasks.making import make_task, path_of, titles

if TYPE_CHECKING:
    from tests.people import Answer


def make_tag(person: Person, name: str = "Urgent", **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/tags", {"name": name, **fields})
    assert answer.status_code == 201, answer.text
    tag: dict[str, Any] = answer.json
    return tag


def path_to(tag: dict[str, Any]) -> str:
    return f"/api/tags/{tag['id']}"


def code(answer: "Answer") -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def names(person: Person, **query: Any) -> list[str]:
    return [tag["name"] for tag in person.get("/api/tags", query_string=query).json["items"]]


def test_a_tag_has_a_name_and_a_colour(owner: Person, teammate: Person) -> None:
    answer = owner.post("/api/tags", {"name": " Home ", "color": "#ABCDEF"})
    tag = answer.json
    assert tag == {"id": tag["id"], "name": "Home", "color": "#abcdef"}
    assert (answer.headers["Location"], answer.headers["ETag"]) == (path_to(tag), '"v1"')
    assert teammate.get(path_to(tag)).json == tag


def test_without_a_colour_it_gets_one_by_its_name(owner: Person) -> None:
    first = make_tag(owner, "Home")
    owner.delete(path_to(first))
    assert first["color"] == make_tag(owner, "Home")["color"]


def test_names_that_differ_in_case_only_are_one(owner: Person, teammate: Person) -> None:
    make_tag(owner, "Straße")
    assert code(teammate.post("/api/tags", {"name": "STRASSE"})) == (409, "tag_taken")
    other = make_tag(teammate, "Home")
    assert code(teammate.patch(path_to(other), {"name": "strasse"})) == (409, "tag_taken")
    assert teammate.get(path_to(other)).json["name"] == "Home"
    assert teammate.patch(path_to(other), {"name": "HOME"}).json["name"] == "HOME"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "01999999-0000-7000-8000-000000000000"}, "name"),
        ({"name": "a", "color": "red"}, "color"),
        ({"name": "a", "color": "#12345"}, "color"),
    ],
    ids=["nothing", "blank", "long", "two lines", "an id", "a word", "short"],
)
def test_what_is_no_tag_is_refused(owner: Person, body: dict[str, Any], field: str) -> None:
    answer = owner.post("/api/tags", body)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])


def test_tags_are_listed_by_name_and_found_by_a_part_of_it(owner: Person, teammate: Person) -> None:
    for name in ("beta", "Alpha", "100%", "Gamma"):
        make_tag(owner, name)
    assert names(teammate) == ["100%", "Alpha", "beta", "Gamma"]
    assert names(teammate, sort="-name", per_page=2) == ["Gamma", "beta"]
    assert names(teammate, q="MMA") == ["Gamma"]
    assert names(teammate, q="%") == ["100%"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_who_made_a_tag_or_an_administrator_changes_it(
    owner: Person, teammate: Person, admin: Person, method: str
) -> None:
    tag = make_tag(owner)
    assert code(teammate.call(method, path_to(tag), {"name": "Later"})) == (403, "tag_forbidden")
    assert owner.call(method, path_to(tag), {"name": "Later"}).json == {**tag, "name": "Later"}
    changed = admin.call(method, path_to(tag), {"color": "#000000"})
    assert (changed.json["color"], changed.headers["ETag"]) == ("#000000", '"v3"')
    assert owner.call(method, path_to(tag), {"name": "Later"}).headers["ETag"] == '"v3"'


def test_who_made_a_tag_or_an_administrator_deletes_it(
    owner: Person, teammate: Person, admin: Person
) -> None:
    first, second = make_tag(owner, "a"), make_tag(owner, "b")
    assert code(teammate.delete(path_to(first))) == (403, "tag_forbidden")
    assert owner.delete(path_to(first)).status_code == 204
    assert admin.delete(path_to(second)).status_code == 204
    for answer in (owner.get(path_to(first)), owner.delete(path_to(first)), owner.patch(path_to(first), {})):
        assert code(answer) == (404, "tag_not_found")


def test_a_change_of_what_has_changed_meanwhile_is_refused(owner: Person) -> None:
    tag, stale = make_tag(owner), {"If-Match": '"v1"'}
    assert owner.patch(path_to(tag), {"name": "b"}, headers=stale).status_code == 200
    assert owner.patch(path_to(tag), {"name": "c"}, headers=stale).status_code == 412
    assert owner.delete(path_to(tag), headers=stale).status_code == 412


def test_a_deleted_tag_is_taken_off_all_tasks(owner: Person, teammate: Person) -> None:
    task = make_task(teammate, tags=["Urgent", "Home"])
    urgent = next(tag for tag in task["tags"] if tag["name"] == "Urgent")
    assert titles(teammate, tag="urgent") == [task["title"]]
    assert teammate.delete(path_to(urgent)).status_code == 204
    assert titles(teammate, tag="urgent") == []
    assert [tag["name"] for tag in teammate.get(path_of(task)).json["tags"]] == ["Home"]


def test_lists_of_tasks_show_a_tags_new_name_at_once(owner: Person, teammate: Person) -> None:
    tag = make_tag(owner)
    make_task(teammate, tags=[tag["id"]])
    assert teammate.get("/api/tasks").json["items"][0]["tags"] == [tag]
    changed = owner.patch(path_to(tag), {"name": "Later"}).json
    assert teammate.get("/api/tasks").json["items"][0]["tags"] == [changed]
