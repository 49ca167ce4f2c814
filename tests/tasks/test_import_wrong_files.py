"""Files that are no tables of tasks: refused at once, with the reason, and nothing kept."""

import gzip
from dataclasses import replace

import pytest
from flask import Flask

from tests.files.uploading import assert_nothing_kept, zipped
from tests.people import Person
from tests.tasks.importing import send_table

HEAD = b"title,notes\n"
WRONG = {
    "nothing": (b"", "empty"),
    "blanks": (b" \n\n\n", "empty"),
    "an Excel file": (zipped("xl/workbook.xml"), "save it as CSV"),
    "an old Excel file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as CSV"),
    "a PDF": (b"%PDF-1.7\n", "save it as CSV"),
    "something packed": (gzip.compress(HEAD), "no table"),
    "bytes": (bytes(range(256)) * 9, "no text"),
    "UTF-16 without a mark": ("title\nTea and milk\n".encode("utf-16-le"), "no text"),
    "no known encoding": (HEAD + b"\x81\x8d\xff\n", "UTF-8"),
    "no title": (b"name of it,what,when\nTea,x,2031-01-01\n", "title"),
    "no header": (b"Buy tea,high\nBuy milk,low\n", "title"),
    "JSON": (b'[{"title": "Tea"}]', "title"),
    "HTML": (b"<!doctype html><title>Sign in</title>", "title"),
}


@pytest.mark.one_database
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_refused_with_the_reason(empty_store: Flask, owner: Person, kind: str) -> None:
    content, reason = WRONG[kind]
    answer = send_table(owner, content)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_import")
    assert reason in answer.json["detail"]
    assert owner.get("/api/tasks/imports").json["total"] == 0
    assert_nothing_kept(empty_store)


@pytest.mark.one_database
def test_a_file_that_says_to_be_too_large_is_refused_before_it_comes(
    empty_store: Flask, owner: Person
) -> None:
    answer = send_table(owner, HEAD, announced=10 * 1024**3)
    assert (answer.status_code, answer.json["code"]) == (413, "import_too_large")
    assert_nothing_kept(empty_store)


@pytest.mark.one_database
def test_a_file_that_is_too_large_is_refused_while_it_comes(app: Flask, owner: Person) -> None:
    settings = app.extensions["taskapi_settings"]
    app.extensions["taskapi_settings"] = replace(settings, max_import_size=1_000)
    try:
        assert send_table(owner, HEAD + b"Tea,x\n" * 100).status_code == 202
        answer = send_table(owner, HEAD + b"Tea,x\n" * 200)
    finally:
        app.extensions["taskapi_settings"] = settings
    assert (answer.status_code, answer.json["code"]) == (413, "import_too_large")


@pytest.mark.one_database
def test_a_form_may_tell_of_many_people_but_not_of_any_number(owner: Person) -> None:
    told = "{" + ",".join(f'"{number}": "person{number}@example.org"' for number in range(5_000)) + "}"
    assert send_table(owner, HEAD, form={"people": told}).status_code == 202
    answer = send_table(owner, HEAD, form={"people": told + " " * 200_000})
    assert answer.status_code == 413
