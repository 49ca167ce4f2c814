"""The file in docs/import.md is imported as the page says."""

import json
import re

from flask import Flask

from tests.e2e.installation import REPOSITORY
from tests.people import Person
from tests.tasks.importing import import_table

DOCS = REPOSITORY / "docs"


def of_the_page(language: str) -> str:
    page = (DOCS / "import.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)
    return str(text)


def test_the_example_comes_in_as_the_page_says(app: Flask, owner: Person, teammate: Person) -> None:
    table = (DOCS / "examples" / "tasks.csv").read_text(encoding="utf-8")
    assert of_the_page("csv") == table
    job = import_table(app, owner, table, form={"people": '{"17": "tariq@example.org"}'})
    expected = json.loads(of_the_page("json"))
    assert {name: job[name] for name in expected} == expected
