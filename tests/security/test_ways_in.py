"""A disguise is refused on every way by which a file comes in."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.files.uploading import PNG, assert_nothing_kept, upload, upload_raw, zipped
from tests.people import Person
from tests.tasks.importing import send_table
from tests.tasks.making import make_task
from tests.tasks.test_attachments import attach

DISGUISES = {
    "a page as a picture": (b"<html><script>alert(1)</script></html>", "a.png"),
    "a drawing": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "a.svg"),
    "an archive as a letter": (zipped("a.txt"), "a.docx"),
    "a program as a picture": (b"MZ\x90\x00\x03" + bytes(60), "a.png"),
    "a page and a paper": (b"<html></html>%PDF-1.7\n%%EOF", "a.pdf"),
    "a picture as text": (PNG, "a.txt"),
}


def by_attaching(person: Person, content: bytes, name: str) -> Any:
    return attach(person, make_task(person), (name, content))


def by_importing(person: Person, content: bytes, name: str) -> Any:
    return send_table(person, content, name)


@pytest.mark.one_database
@pytest.mark.parametrize("send_it", [upload, upload_raw, by_attaching, by_importing])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_is_refused_on_every_way(
    empty_store: Flask, owner: Person, send_it: Callable[..., Any], disguise: str
) -> None:
    answer = send_it(owner, *DISGUISES[disguise])
    refused = (422, "invalid_import") if send_it is by_importing else (415, "file_type_not_allowed")
    assert (answer.status_code, answer.json["code"]) == refused
    assert_nothing_kept(empty_store)
