"""Text as it is compared: in one form, and for searches by both databases alike, without their extensions."""

import re
import unicodedata
from typing import Literal

# To put marks in their order takes the square of their number. So many in a row are no letter of any
# language (Unicode Annex 15, 13: the Stream-Safe Text Format).
MARKS_IN_A_ROW = 30
# They are no marks, but these forms make marks of them.
BECOME_MARKS = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
# Marks are no letters, digits or blanks, and so many that are none stand in a row in few texts.
MAY_BE_TOO_MANY = re.compile(rf"(?:[^\w\s]|[{''.join(sorted(BECOME_MARKS))}]){{{MARKS_IN_A_ROW + 1}}}")


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """The text in a normalization form (Unicode Annex 15); of too many marks on one letter the first stay."""
    return text if text.isascii() else unicodedata.normalize(form, _with_few_marks(text))


def _with_few_marks(text: str) -> str:
    if not MAY_BE_TOO_MANY.search(text):
        return text
    kept, in_a_row = [], 0
    for letter in text:
        is_mark = unicodedata.combining(letter) or letter in BECOME_MARKS
        in_a_row = in_a_row + 1 if is_mark else 0
        if in_a_row <= MARKS_IN_A_ROW:
            kept.append(letter)
    return "".join(kept)


def folded(text: str) -> str:
    """The text without case, accents and compatible forms, so that ``Täbl`` and ``TABL`` are one.

    Unicode Annex 15 (NFKD) and Unicode 3.13 (case folding); it may be longer than the text.
    """
    if text.isascii():
        return text.lower()
    # Case folding makes few marks more, so those that are too many are looked for once.
    apart = unicodedata.normalize("NFKD", normalized("NFKD", text).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
