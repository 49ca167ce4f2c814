"""What makes two texts one for a search, and how long that takes at most."""

import sys
import unicodedata
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskapi.core.folding import BECOME_MARKS, MARKS_IN_A_ROW, MAY_BE_TOO_MANY, folded, normalized
from tests.timed import work_of

# From the last of their order to the first: each is put before all that came earlier.
MARKS = "\u0345\u0315\u0301\u031b\u0323\u0334"


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("Täbl", "TABL"),
        ("Ta\u0308bl", "t\u00e4BL"),
        ("Straße", "STRASSE"),
        ("Żółć", "żółc"),
        ("\uff2b\uff25\uff39", "key"),
        ("\u0130stanbul", "istanbul"),
        ("ΟΔΟΣ", "οδος"),
    ],
)
def test_case_accents_and_forms_do_not_matter(text: str, alike: str) -> None:
    assert folded(text) == folded(alike)


@pytest.mark.parametrize(("text", "other"), [("o", "0"), ("日本", "日木"), ("a b", "ab"), ("\u0435", "e")])
def test_other_letters_stay_others(text: str, other: str) -> None:
    assert folded(text) != folded(other)


def test_folding_twice_changes_nothing() -> None:
    text = "ΐ ŉ ﬃ Ǆ İ ẞ"
    assert folded(folded(text)) == folded(text)


@given(st.text(st.sampled_from(f"ae\u00e9 {MARKS}\u0f73\uff9e"), max_size=MARKS_IN_A_ROW))
def test_what_people_write_has_the_form_that_unicode_gives_it(text: str) -> None:
    for form in ("NFC", "NFKD"):
        assert normalized(form, text) == unicodedata.normalize(form, text)


def test_marks_without_end_take_no_longer_than_other_letters() -> None:
    """To order n of them takes n² steps."""

    letters = work_of(lambda: folded("\u00e9" * 40_000))
    for marks in (MARKS, "\u0f73\u0f71", "\u0301\uff9e"):
        each = 40_000 // len(marks)
        for text in ("a" + "".join(mark * each for mark in marks), "a" + marks * each):
            assert work_of(partial(folded, text)) < 10 * letters + 0.1


def test_of_too_many_marks_the_first_stay() -> None:
    assert normalized("NFC", "a" + "\u0316" * 40 + "b") == "a" + "\u0316" * MARKS_IN_A_ROW + "b"


def test_what_becomes_a_mark_is_known() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    first = ((letter, unicodedata.normalize("NFKD", letter)[0]) for letter in every)
    found = {letter for letter, mark in first if unicodedata.combining(mark)}
    assert {letter for letter in found if not unicodedata.combining(letter)} == BECOME_MARKS


def test_a_text_with_too_many_marks_is_not_taken_for_one_without() -> None:
    marks = [mark for mark in map(chr, range(sys.maxunicode + 1)) if unicodedata.combining(mark)]
    assert [mark for mark in (*marks, *BECOME_MARKS) if not MAY_BE_TOO_MANY.search(mark * 31)] == []
