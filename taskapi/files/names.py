"""What a file is called: as its sender called it, without what deceives people or breaks systems."""

import re
import unicodedata
from pathlib import PurePosixPath

from taskapi.core.folding import normalized

MAX_BYTES = 255
# What is longer after the last dot is no ending.
LONGEST_ENDING = 32
# Embeddings, overrides and isolates turn the order of letters round: "exe.png" reads "gnp.exe".
TURNS_ORDER = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Control characters, halves of surrogate pairs, ends of lines and paragraphs.
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Names that Windows keeps for devices, whatever their ending.
DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)


def clean_name(text: str) -> str:
    """The name without folders, of 255 bytes of UTF-8 at most, its ending kept; empty if nothing is left."""
    last = re.split(r"[/\\]", text)[-1]
    letters = TURNS_ORDER.sub("", last)
    printable = "".join(letter for letter in letters if unicodedata.category(letter) not in UNPRINTABLE)
    name = normalized("NFC", printable).strip().rstrip(". ")
    if DEVICE.fullmatch(name):
        name = f"_{name}"
    return _shortened(name)


def ending_of(name: str) -> str:
    """What follows the last dot, with it, in lower case; empty if there is none."""
    ending = PurePosixPath(name).suffix.lower()
    return ending if len(ending) <= LONGEST_ENDING else ""


def _shortened(name: str) -> str:
    ending = name[len(name) - len(ending_of(name)) :]
    room = MAX_BYTES - len(ending.encode())
    stem = name.removesuffix(ending).encode()
    if len(stem) <= room:
        return name
    # What is cut in the middle of a letter loses that letter.
    return stem[:room].decode(errors="ignore").rstrip() + ending
