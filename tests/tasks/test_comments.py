"""Comments of a task: written, read, edited and deleted, by whom they may be."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from tests.people import Person
from tests.tasks.making import make_task, path_of, titles

if TYPE_CHECKING:
    from tests.people import Answer


def comments_of(task: dict[str, Any]) -> str:
    return f"{path_of(task)}/comments"


def say(person: Person, task: dict[str, Any], content: str = "Done by **noon**.") -> dict[str, Any]:
    answer = person.post(comments_of(task), {"content": content})
    assert answer.status_code == 201, answer.text
    comment: dict[str, Any] = answer.json
    return comment


def path_to(comment: dict[str, Any]) -> str:
    return f"/api/tasks/{comment['task_id']}/comments/{comment['id']}"


def code(answer: "Answer") -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_comment_is_kept_as_it_was_written_and_rendered(owner: Person, task: dict[str, Any]) -> None:
    answer = owner.post(comments_of(task), {"content": " *Soon* <b>now</b>\n"})
    comment = answer.json
    assert answer.headers["Location"] == path_to(comment)
    assert answer.headers["ETag"] == '"v1"'
    assert comment["content"] == " *Soon* <b>now</b>\n"
    assert comment["content_html"] == "<p><em>Soon</em> &lt;b&gt;now&lt;/b&gt;</p>\n"
    assert (comment["task_id"], comment["edited_at"], comment["author"]["username"]) == (
        task["id"],
        None,
        "olivia",
    )
    assert owner.get(path_to(comment)).json == comment


def test_comments_are_listed_oldest_first_and_counted(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    said = [say(person, task, f"No. {n}")["content"] for n, person in enumerate((owner, teammate, owner))]
    first = owner.get(comments_of(task), query_string={"per_page": 2}).json
    rest = owner.get(comments_of(task), query_string={"per_page": 2, "cursor": first["next_cursor"]}).json
    assert [item["content"] for item in first["items"] + rest["items"]] == said
    newest = owner.get(comments_of(task), query_string={"sort": "-created_at"}).json["items"]
    assert [item["content"] for item in newest] == said[::-1]
    shown = owner.get(path_of(task)).json
    assert (shown["comment_count"], [item["content"] for item in shown["comments"]]) == (3, said)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "Missing"),
        ({"content": "  \n"}, "Length"),
        ({"content": "ä" * 32_769}, "65,536 bytes"),
        ({"content": "a\x07b"}, "Control"),
        ({"content": " ".join(f"@u{n}" for n in range(51))}, "50 people"),
    ],
    ids=["nothing", "blank", "long", "control", "mentions"],
)
@pytest.mark.one_database
def test_what_is_no_comment_is_refused(
    owner: Person, task: dict[str, Any], body: dict[str, Any], word: str
) -> None:
    answer = owner.post(comments_of(task), body)
    assert answer.status_code == 422
    assert word in answer.json["errors"]["content"][0]


def test_a_stranger_finds_neither_task_nor_comment(
    owner: Person, stranger: Person, task: dict[str, Any]
) -> None:
    comment = say(owner, task)
    answers = [
        stranger.post(comments_of(task), {"content": "x"}),
        stranger.get(comments_of(task)),
        stranger.get(path_to(comment)),
        stranger.patch(path_to(comment), {"content": "x"}),
        stranger.delete(path_to(comment)),
    ]
    assert {code(answer) for answer in answers} == {(404, "task_not_found")}


def test_a_comment_is_found_under_its_own_task_alone(owner: Person, task: dict[str, Any]) -> None:
    comment = say(owner, task)
    elsewhere = f"{comments_of(make_task(owner))}/{comment['id']}"
    answers = [
        owner.get(elsewhere),
        owner.patch(elsewhere, {"content": "x"}),
        owner.delete(elsewhere),
    ]
    assert {code(answer) for answer in answers} == {(404, "comment_not_found")}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_its_author_edits_a_comment(owner: Person, task: dict[str, Any], method: str) -> None:
    comment = say(owner, task)
    edited = owner.call(method, path_to(comment), {"content": "*Later*"}).json
    assert (edited["content"], edited["content_html"]) == ("*Later*", "<p><em>Later</em></p>\n")
    assert edited["edited_at"] >= comment["created_at"]
    assert (edited["version"], edited["created_at"]) == (2, comment["created_at"])


def test_an_edit_that_changes_nothing_is_none(owner: Person, task: dict[str, Any]) -> None:
    comment = say(owner, task)
    for body in ({}, {"content": comment["content"]}):
        assert owner.patch(path_to(comment), body).json == comment


def test_an_edit_of_what_has_changed_meanwhile_is_refused(owner: Person, task: dict[str, Any]) -> None:
    comment = say(owner, task)
    stale = {"If-Match": '"v1"'}
    assert owner.patch(path_to(comment), {"content": "b"}, headers=stale).status_code == 200
    assert owner.patch(path_to(comment), {"content": "c"}, headers=stale).status_code == 412
    assert owner.delete(path_to(comment), headers=stale).status_code == 412


def test_nobody_else_edits_a_comment(
    owner: Person, teammate: Person, admin: Person, task: dict[str, Any]
) -> None:
    comment = say(teammate, task)
    for person in (owner, admin):
        answer = person.patch(path_to(comment), {"content": "x"})
        assert code(answer) == (403, "comment_forbidden")


def test_its_author_or_an_administrator_deletes_a_comment(
    owner: Person, teammate: Person, admin: Person, task: dict[str, Any]
) -> None:
    comments = [say(teammate, task) for _ in range(2)]
    assert code(owner.delete(path_to(comments[0]))) == (403, "comment_forbidden")
    assert teammate.delete(path_to(comments[0])).status_code == 204
    assert admin.delete(path_to(comments[1])).status_code == 204
    assert owner.get(comments_of(task)).json["total"] == 0
    assert code(teammate.delete(path_to(comments[0]))) == (404, "comment_not_found")


def test_an_edit_of_the_task_is_not_voided_by_a_comment(owner: Person, task: dict[str, Any]) -> None:
    tag = owner.get(path_of(task)).headers["ETag"]
    say(owner, task)
    assert owner.get(path_of(task)).headers["ETag"] != tag
    assert owner.patch(path_of(task), {"city": None}, headers={"If-Match": tag}).status_code == 200


def test_a_task_is_found_by_what_is_said_of_it_now(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    title = [task["title"]]
    kept, comment = say(owner, task, "the Ficus"), say(teammate, task, "the Orchid")
    for person in (owner, teammate):
        assert titles(person, q="orch fic") == titles(person, q="ficus") == title
    teammate.patch(path_to(comment), {"content": "the Cactus"})
    assert (titles(owner, q="orchid"), titles(owner, q="cactus ficus")) == ([], title)
    teammate.delete(path_to(comment))
    assert (titles(owner, q="cactus"), titles(owner, q="ficus")) == ([], title)
    assert kept["content"] == "the Ficus"


def test_who_gets_the_task_finds_it_by_earlier_comments(
    owner: Person, stranger: Person, task: dict[str, Any]
) -> None:
    say(owner, task, "the Ficus")
    assert titles(stranger, q="ficus") == []
    owner.patch(path_of(task), {"assignee_id": str(stranger.id)})
    assert titles(stranger, q="ficus") == [task["title"]]


def test_what_is_said_at_once_while_the_title_changes_is_all_found(
    app: Flask, owner: Person, task: dict[str, Any]
) -> None:
    def act(number: int) -> int:
        person = replace(owner, client=app.test_client())
        if number % 3:
            return person.post(comments_of(task), {"content": f"word{number}"}).status_code
        return person.patch(path_of(task), {"title": f"Title {number}"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(act, range(9))) == {200, 201}
    title = owner.get(path_of(task)).json["title"]
    assert titles(owner, q=f"{title} word1 word2 word4 word5 word7 word8") == [title]


def test_lists_tell_of_a_colleagues_comment_at_once(
    owner: Person, teammate: Person, task: dict[str, Any]
) -> None:
    assert owner.get("/api/tasks").json["items"][0]["comment_count"] == 0
    say(teammate, task)
    assert owner.get("/api/tasks").json["items"][0]["comment_count"] == 1


def test_a_deleted_task_takes_no_comments(owner: Person, task: dict[str, Any]) -> None:
    comment = say(owner, task)
    owner.delete(path_of(task))
    assert code(owner.post(comments_of(task), {"content": "x"})) == (404, "task_not_found")
    assert code(owner.get(path_to(comment))) == (404, "task_not_found")


def test_a_comment_that_is_sent_twice_with_a_key_is_made_once(owner: Person, task: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "one"}
    answers = [owner.post(comments_of(task), {"content": "x"}, headers=headers) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert owner.get(comments_of(task)).json["total"] == 1
