"""Values that a database, a header or a reader would stumble over: refused, or taken, and never an error."""

from typing import Any

import pytest
from flask import Flask

from tests.events.live.listening import Listening
from tests.files.uploading import TEXT, send
from tests.people import Person
from tests.schedules.making import make
from tests.tasks.importing import import_table
from tests.tasks.making import make_task, path_of

ODD = ("%00", "a%00b", "%ED%A0%80", "%FF", "%C0%80", "9223372036854775808", "%F4%90%80%80")


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_query_or_path_is_an_error_of_the_client_at_most(owner: Person, odd: str) -> None:
    task = make_task(owner)
    for path in (
        f"/api/tasks?q={odd}",
        f"/api/tasks?tag={odd}",
        f"/api/tasks?external_id={odd}",
        f"/api/auth/users?q={odd}",
        f"/api/files?q={odd}",
        f"/api/changes?since={odd}",
        f"/api/tasks?{odd}=1",
        f"/api/tasks/{odd}",
        f"{path_of(task)}/comments/{odd}",
        f"/calendar/{odd}.ics",
        f"/ping/{odd}",
        f"/problems/{odd}",
        f"/{odd}",
    ):
        assert owner.get(path).status_code < 500, path
    assert owner.put(f"/api/tasks/by-external-id/{odd}", {"title": "Tea"}).status_code < 500
    assert send(owner, f"/api/files/raw?filename=a{odd}.txt", TEXT).status_code < 500


@pytest.mark.parametrize(
    "value",
    ["\x00", "a\x00b", "\ud800", "\x80\xff", "9" * 5000, "\x7f"],
    ids=["nul", "nul inside", "surrogate", "latin-1", "long", "del"],
)
def test_an_odd_header_is_an_error_of_the_client_at_most(owner: Person, value: str) -> None:
    names = ("X-Request-ID", "Idempotency-Key", "If-Match", "If-None-Match", "User-Agent", "Host")
    for name in names:
        # As a server hands it over, whatever it let pass.
        header: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value}
        answer = owner.post("/api/tasks", {"title": "Tea"}, environ_overrides=header)
        assert answer.status_code < 500, name
    wrong = {"HTTP_AUTHORIZATION": f"Bearer {value}"}
    assert owner.client.get("/api/tasks", environ_overrides=wrong).status_code in (400, 401)


def test_a_table_of_odd_cells_is_imported_without_them(app: Flask, owner: Person) -> None:
    table = b'title,external_id\nTea,"a\x00b"\n"Two\nlines",x\nMilk,9223372036854775808\n'
    job = import_table(app, owner, table)
    assert (job["status"], job["error"]) == ("completed", None)
    assert "Two\nlines" not in [task["title"] for task in owner.get("/api/tasks").json["items"]]


def test_a_ping_may_say_anything(owner: Person) -> None:
    check = make(owner, action="expect_ping", params={"grace": 60}, every=3600)
    path = check["ping_url"].partition(":8000")[2]
    for content in (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"[" * 9_000):
        assert owner.client.post(path, data=content).status_code == 200


@pytest.mark.parametrize(
    "said",
    ['{"token": "a\\u0000"}', '{"token": "\\ud800"}', "[" * 50_000, "\x00", "NaN"],
    ids=["nul", "surrogate", "deep", "bare nul", "nan"],
)
@pytest.mark.one_database
def test_an_odd_first_message_ends_a_connection_as_a_bad_token_does(listening: Listening, said: str) -> None:
    client = listening.websocket()
    client.send(said)
    assert client.end()[0] == 4401


@pytest.mark.one_database
def test_a_filter_has_two_hundred_values_at_most(owner: Person) -> None:
    many = [f"01999999-0000-7000-8000-{number:012}" for number in range(5_000)]
    for name in ("assignee_id", "external_id", "tag"):
        answer = owner.get("/api/tasks", query_string={name: many})
        assert (answer.status_code, list(answer.json["errors"])) == (422, [name])
        assert owner.get("/api/tasks", query_string={name: many[:200]}).status_code == 200
