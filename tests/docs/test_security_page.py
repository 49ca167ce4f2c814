"""The checklist of docs/security.md is whole: each number has its proofs, or says why it has none."""

import re

import pytest

from tests.docs.proofs import assert_names_proofs
from tests.rules.sources import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<number>\d+) \| (?P<attack>[^|]+) \| (?P<answer>[^|]+) \| (?P<proof>[^|]*)\|$", re.MULTILINE
)
ROWS = {int(row["number"]): row for row in ROW.finditer(PAGE)}
# What the attacks lead to is not there.
WITHOUT = {27, 48}


def test_each_number_stands_once_and_in_order() -> None:
    assert [int(row["number"]) for row in ROW.finditer(PAGE)] == list(range(1, 66))


@pytest.mark.parametrize("number", ROWS)
def test_a_number_names_its_proofs_or_says_why_there_are_none(number: int) -> None:
    row = ROWS[number]
    assert len(row["attack"]) > 10
    if number in WITHOUT:
        assert row["answer"].startswith("does not apply: ")
        assert not row["proof"].strip()
    else:
        assert_names_proofs(row["proof"])
