"""What the runbook tells people to look for is what the processes write, answer and show."""

import re

import pytest

from tests.docs import pages
from tests.e2e.installation import REPOSITORY

RUNBOOK = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
FAULTS = re.findall(r"^### Fault: (.+?)\n(.*?)(?=^##)", RUNBOOK, re.MULTILINE | re.DOTALL)
SOURCE = "".join(
    path.read_text(encoding="utf-8")
    for room in ("taskapi", "migrations")
    for path in sorted((REPOSITORY / room).rglob("*.py"))
)


def ids(fault: tuple[str, str]) -> str:
    return fault[0].replace(" ", "_")


def test_there_are_faults_to_read_about() -> None:
    assert len(FAULTS) >= 9


@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_a_fault_says_what_works_how_it_is_seen_and_what_to_do(fault: tuple[str, str]) -> None:
    said = re.findall(r"^- \*\*(.+?)\*\*:", fault[1], re.MULTILINE)
    assert said == ["Still works", "Seen by", "To do"]


@pytest.mark.parametrize("fault", FAULTS, ids=ids)
def test_what_it_names_is_what_the_code_calls_it(fault: tuple[str, str]) -> None:
    settings = {setting.name for setting in pages.settings()}
    for word in re.findall(r"`([^`]+)`", fault[1].partition("```")[0]):
        if re.fullmatch(r"[a-z_]+\.[a-z_]+", word):
            assert f'"{word}"' in SOURCE or f'"{word},' in SOURCE, word
        elif re.fullmatch(r"taskapi_[a-z_]+", word):
            assert word.removesuffix("_total") in SOURCE, word
        elif re.fullmatch(r"[A-Z]+_[A-Z_]+", word):
            assert word in settings, word
        elif re.fullmatch(r"[a-z]+_[a-z_]+", word):
            assert word in SOURCE, word
