"""Names of files: what is left of what a client sent."""

import unicodedata

import pytest

from taskapi.files.names import clean_name, ending_of


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("notes.txt", "notes.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\olivia\\notes.txt", "notes.txt"),
        ("..\\..\\notes.txt", "notes.txt"),
        ("a/b\\c.txt", "c.txt"),
        ("folder/", ""),
        ("", ""),
        (".", ""),
        ("..", ""),
        ("...", ""),
        (" . ", ""),
        ("../..", ""),
        ("\x00\x01\x7f\x85", ""),
        ("no\x00tes\r\n.txt\t", "notes.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u2066a\u2069\u202ab\u202c.txt", "ab.txt"),
        ("a\u2028b\u2029.txt", "ab.txt"),
        ("half\ud800.txt", "half.txt"),
        ("  notes.txt . ", "notes.txt"),
        ("notes.txt....", "notes.txt"),
        (".htaccess", ".htaccess"),
        ("e\u0301te\u0301.txt", "été.txt"),
        ("茶 と 🍞.txt", "茶 と 🍞.txt"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("Com1.txt", "_Com1.txt"),
        ("lpt²", "_lpt²"),
        ("aux .txt", "_aux .txt"),
        ("CONIN$", "_CONIN$"),
        ("console.txt", "console.txt"),
        ("com10.txt", "com10.txt"),
        ('"; filename="x.exe', '"; filename="x.exe'),
        ("=cmd|' /C calc'!A0.csv", "C calc'!A0.csv"),
    ],
)
def test_nothing_is_left_that_deceives_or_breaks(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept


@pytest.mark.parametrize("letter", ["a", "é", "茶", "🍞"])
def test_a_long_name_keeps_its_ending(letter: str) -> None:
    name = clean_name(letter * 300 + ".docx")
    assert name.endswith(letter + ".docx")
    assert 255 - 3 <= len(name.encode()) <= 255
    assert clean_name(name) == name


def test_a_long_name_without_an_ending_is_cut() -> None:
    assert len(clean_name("a" * 1000)) == 255
    assert len(clean_name("a." + "b" * 1000).encode()) == 255
    assert len(clean_name("CON." + "b" * 251).encode()) == 255


@pytest.mark.parametrize("sent", ["A\u030a.txt", "ﬁle.txt", "x" * 254 + "é", "\u202e.\u202e.", "🇫🇷" * 99])
def test_cleaning_twice_changes_nothing(sent: str) -> None:
    name = clean_name(sent)
    assert clean_name(name) == name == unicodedata.normalize("NFC", name)


def test_the_ending_is_told_in_lower_case() -> None:
    endings = [ending_of(name) for name in ("a.TXT", "a.tar.gz", "a", ".hidden", "a." + "b" * 40)]
    assert endings == [".txt", ".gz", "", "", ""]
