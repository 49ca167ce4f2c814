"""What makes two texts one for a search."""

import pytest

from taskapi.core.folding import folded


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
