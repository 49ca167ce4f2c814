"""Whatever docs/coming-from.md says that a thing is called here is called so."""

import re
from collections.abc import Iterator

import pytest

from taskapi.legacy.aliases import ALIASES, SCHEDULE, TASK
from taskapi.legacy.paths import DEPRECATED_SINCE
from tests.docs import pages
from tests.docs.commands import find_command
from tests.document import DOCUMENT
from tests.e2e.installation import REPOSITORY

PAGE = (REPOSITORY / "docs" / "coming-from.md").read_text(encoding="utf-8")
SCHEMAS = DOCUMENT["components"]["schemas"]


def rows(kind: str) -> Iterator[tuple[list[str], list[str]]]:
    """What stands as code in the two columns of all tables of a kind: there, and here."""
    tables = re.findall(
        rf"^\| {kind} there \| {kind} here \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE
    )
    assert tables
    for line in "".join(tables).splitlines():
        there, here = line.strip("| ").split(" | ")
        yield re.findall(r"`([^`]+)`", there), re.findall(r"`([^`]+)`", here)


def nameless(path: str) -> str:
    """A path whose names are left out: {} for one of its parts, * for all that follow."""
    return re.sub(r"{\w+}", "{}", re.sub(r"{(path:)?rest}", "*", path))


def test_every_path_exists_by_its_method() -> None:
    known = {
        f"{method.upper()} {nameless(path)}"
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    for target in (nameless(target) for _, here in rows("path") for target in here):
        if target.endswith("*"):
            assert any(target.rstrip("*") in path for path in known), target
        else:
            assert target in known


def test_the_older_paths_are_those_that_are_answered() -> None:
    told = {
        (nameless(path.rpartition(" ")[2].rstrip("/")), nameless(target.rpartition(" ")[2]))
        for there, (target,) in rows("path")
        for path in there
    }
    answered = {(nameless(alias.path), nameless(alias.successor)) for alias in ALIASES}
    assert answered <= told
    any_rest = {path.rstrip("*"): target.rstrip("*") for path, target in answered if path.endswith("*")}
    for path, target in told - answered:
        start = next((start for start in any_rest if path.startswith(start)), None)
        assert path == target or (start and path.replace(start, any_rest[start], 1) == target), path


def test_every_field_exists() -> None:
    named = [target for _, here in rows("field") for target in here if re.fullmatch(r"[A-Z]\w+\.\w+", target)]
    assert len(named) > 30
    for target in named:
        schema, _, name = target.partition(".")
        assert name in SCHEMAS[schema]["properties"], target


def test_fields_are_read_as_the_tables_say() -> None:
    told = {
        (old, new.partition(".")[2]) for there, here in rows("field") for old in there for new in here[:1]
    }
    for dialect in (TASK, SCHEDULE):
        assert set(dialect.names.items()) <= told


def test_every_word_is_one_of_its_field() -> None:
    named = [target for _, here in rows("word") for target in here if ": " in target]
    assert len(named) > 15
    for target in named:
        field, _, word = target.partition(": ")
        schema, _, name = field.partition(".")
        assert word in SCHEMAS[schema]["properties"][name]["enum"], target


@pytest.mark.parametrize("word", ["true", "false", "pending", "completed"])
def test_words_are_read_as_the_tables_say(word: str) -> None:
    said = {"true": True, "false": False}.get(word, word)
    expected = {"true": "todo", "false": "done", "pending": "todo", "completed": "done"}[word]
    assert TASK.say("status", said) == ("status", expected)


def test_every_setting_exists() -> None:
    known = {setting.name for setting in pages.settings()}
    assert {target for _, here in rows("setting") for target in here} - known == set()


def test_every_command_exists() -> None:
    for _, here in rows("command"):
        for line in here:
            assert find_command(line.split()[1:]), line


def test_the_date_is_the_one_that_is_sent() -> None:
    assert f"Deprecation: @{int(DEPRECATED_SINCE.timestamp())}`" in PAGE
