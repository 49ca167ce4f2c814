"""Texts as cells of a table that spreadsheet programs open: nobody's text becomes a formula."""

import re

# What begins so is a formula for one program or another (OWASP, CSV Injection).
FORMULA = re.compile(r"'*[=+\-@\t\r]")


def inert(text: str) -> str:
    """The text as a cell of CSV: a quote stands before what would be a formula.

    Also before what looks like such a cell already, so that ``plain`` always brings the text back.
    """
    return f"'{text}" if FORMULA.match(text) else text


def plain(cell: str) -> str:
    """The text that ``inert`` made the cell of."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
