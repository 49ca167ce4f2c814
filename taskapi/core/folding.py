"""Text as searches compare it: by both databases alike, without an extension of either."""

import unicodedata


def folded(text: str) -> str:
    """The text without case, accents and compatible forms, so that ``Täbl`` and ``TABL`` are one.

    Unicode Annex 15 (NFKD) and Unicode 3.13 (case folding); it may be longer than the text.
    """
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
