"""What the documents list is what there is, and whatever they link can be found."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskapi import config, config_files, config_operations, config_tasks
from tests.docs import pages
from tests.docs.commands import find_command
from tests.document import DOCUMENT
from tests.e2e.installation import REPOSITORY

LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:|mailto:)([^)\s]*)\)|(?:href|src|srcset)=\"(?!https?:)([^\"]+)\"")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# Not those of packages that tests have installed into.
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)


@pytest.mark.parametrize("page", ["configuration", "endpoints"])
def test_what_is_made_from_the_code_is_up_to_date(page: str) -> None:
    if page == "configuration":
        assert pages.CONFIGURATION.read_text(encoding="utf-8") == pages.configuration_page(), "make docs"
    else:
        assert pages.README.read_text(encoding="utf-8") == pages.readme_page(), "make docs"


def test_every_setting_says_what_it_means_and_secrets_that_they_may_be_files() -> None:
    offered = list(pages.settings())
    assert [setting.name for setting in offered if not setting.meaning] == []
    marked = {setting.name for setting in offered if setting.may_be_a_file}
    assert _read_by("secret") <= marked <= _read_by("secret") | _read_by("url")


def _read_by(reader: str) -> set[str]:
    """The settings that are read by this method of the ``Environment``."""
    return {
        str(call.args[0].value)
        for module in (config, config_files, config_operations, config_tasks)
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == reader
        if call.args and isinstance(call.args[0], ast.Constant)
    }


def test_every_endpoint_of_the_document_is_in_the_table() -> None:
    table = pages.endpoint_table()
    told = {
        (method, path)
        for methods, path in re.findall(r"^\| ([A-Z ]+) \| `([^`]+)` \|", table, re.MULTILINE)
        for method in methods.split()
    }
    assert told == {
        (method.upper(), path)
        for path, operations in DOCUMENT["paths"].items()
        for method in operations.keys() - {"parameters"}
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_file_and_heading_that_is_linked_exists(page: Path) -> None:
    for target in _links_of(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_relative_to(REPOSITORY), target
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in _anchors_of(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_command_of_administrators_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in re.findall(r"\b(?:flask|taskapi) (admin [a-z][a-z-]*(?: [a-z][a-z-]*)?)", text):
        assert find_command(words.split()), words


def test_every_picture_is_small_and_shown_somewhere() -> None:
    shown = {(page.parent / target).resolve() for page in PAGES for target in _links_of(page)}
    for picture in (REPOSITORY / "docs" / "images").iterdir():
        assert picture.stat().st_size < 150_000, picture
        assert picture in shown


def _links_of(page: Path) -> Iterator[str]:
    for in_markdown, in_html in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        yield in_markdown or in_html


def _anchors_of(page: Path) -> set[str]:
    """The names that GitHub gives headings: lower case, words joined by -, of punctuation nothing."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text))
    }
