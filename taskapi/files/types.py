"""What a file is: told from its content, compared with its name's ending and with what is allowed.

A signature counts only where the content begins. Images are not decoded, archives not unpacked.
"""

import re
from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import Path

from taskapi.files.errors import FileTypeNotAllowed
from taskapi.files.names import ending_of
from taskapi.files.zips import DOCX, PPTX, WITH_MACROS, XLSX, ZIP, BrokenZip, type_of_zip

TEXT, MARKDOWN, XML, HTML, SVG = (
    "text/plain",
    "text/markdown",
    "application/xml",
    "text/html",
    "image/svg+xml",
)
SCRIPT, PHP = "text/x-script", "application/x-httpd-php"
PROGRAM = "application/vnd.microsoft.portable-executable"
ELF, MACH_O = "application/x-elf", "application/x-mach-binary"
RTF, POSTSCRIPT, UNKNOWN = "application/rtf", "application/postscript", "application/octet-stream"

# Every type that is known here by its content, and the endings that belong to it.
ENDINGS = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    TEXT: (".txt",),
    "text/csv": (".csv",),
    "application/json": (".json",),
    MARKDOWN: (".md", ".markdown"),
    DOCX: (".docx",),
    XLSX: (".xlsx",),
    PPTX: (".pptx",),
    ZIP: (".zip",),
    WITH_MACROS: (".docm", ".xlsm", ".pptm"),
    HTML: (".html", ".htm", ".xhtml"),
    SVG: (".svg",),
    XML: (".xml",),
    SCRIPT: (".sh", ".bash", ".zsh", ".py", ".pl", ".rb", ".js", ".mjs", ".bat", ".cmd", ".ps1", ".vbs"),
    PHP: (".php", ".phtml", ".phar"),
    PROGRAM: (".exe", ".dll", ".scr", ".com", ".sys", ".msi"),
    ELF: (".elf", ".so"),
    MACH_O: (".dylib",),
    RTF: (".rtf",),
    POSTSCRIPT: (".ps", ".eps"),
}
TYPE_OF = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}
# UTF-8 without another signature is one of these, by its ending.
TEXTS = frozenset({TEXT, "text/csv", "application/json", MARKDOWN, HTML, XML, SCRIPT, PHP})
# What formats that are unknown here are made of, and what their types are like: an operator may
# allow text/calendar, .odt or .kml.
MATERIALS = {TEXT: re.compile("text/.+"), XML: re.compile(r".+\bxml"), ZIP: re.compile("application/.+")}

SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), ZIP),
    (re.compile(rb"MZ"), PROGRAM),
    (re.compile(rb"\x7fELF"), ELF),
    (re.compile(rb"\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe"), MACH_O),
    (re.compile(rb"\{\\rtf"), RTF),
    (re.compile(rb"%!PS"), POSTSCRIPT),
    (re.compile(rb"#!"), SCRIPT),
)
# Markup begins after a byte order mark and blanks, in any case.
MARKUP = (
    (re.compile(rb"<\?(php|=)", re.IGNORECASE), PHP),
    (re.compile(rb"<(!doctype\s+html|html|head|body|script|iframe|style|title)[\s>]", re.IGNORECASE), HTML),
    (re.compile(rb"((<\?xml\s|<!doctype\s+svg\s).*?)?<svg[\s>]", re.IGNORECASE | re.DOTALL), SVG),
    (re.compile(rb"<(\?xml|!doctype)\s", re.IGNORECASE), XML),
)
# Pieces of HTML by which browsers tell it (WHATWG MIME Sniffing, 7.1), and with which Markdown may begin.
FRAGMENT = re.compile(rb"<(!--|(h1|div|font|table|a|b|br|p)[\s>])", re.IGNORECASE)
HEAD_BYTES = 4_096

# Without what the machine's own lists say, so that all machines agree.
_mime_types = MimeTypes()


@dataclass(frozen=True, slots=True)
class AllowedTypes:
    """What may be uploaded: types, and endings that are unknown here."""

    types: frozenset[str]
    endings: frozenset[str]

    @classmethod
    def of(cls, words: tuple[str, ...]) -> "AllowedTypes":
        """From ``ALLOWED_FILE_TYPES``; a known ending stands for its type."""
        types = {TYPE_OF.get(word, word) for word in words}
        endings = frozenset(word for word in types if word.startswith("."))
        return cls(frozenset(types) - endings, endings)


def checked_type(*, path: Path, filename: str, is_text: bool, allowed: AllowedTypes) -> str:
    """The media type of a content.

    Args:
        is_text: whether all of it is UTF-8 without a NUL.

    Raises:
        FileTypeNotAllowed: it is not on the list, or the name's ending belongs to another type.
    """
    ending = ending_of(filename)
    found = _found_types(path, ending, is_text=is_text)
    if ending and ending not in TYPE_OF:
        return _foreign_type(ending, found, allowed)
    if ending and TYPE_OF[ending] not in found:
        if path.stat().st_size == 0:
            raise FileTypeNotAllowed(f"The content is empty, as no file that ends in {ending} is.")
        raise _disguise(found[0], ending)
    kind = TYPE_OF[ending] if ending else found[0]
    if kind not in allowed.types:
        raise FileTypeNotAllowed(f"Files of the type {kind} may not be uploaded here.")
    return kind


def _found_types(path: Path, ending: str, *, is_text: bool) -> list[str]:
    """The types that the content may be of, the likeliest first."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = _by_signature(head, ending)
    if kind == ZIP:
        try:
            return [type_of_zip(path)]
        except BrokenZip:
            return [UNKNOWN]
    if kind is not None:
        return [kind]
    if is_text:
        by_ending = TYPE_OF.get(ending, TEXT)
        return [by_ending if by_ending in TEXTS else TEXT]
    # By its head and tail alone. Not for texts: one that begins with "This is" it calls a manual of GNU.
    import puremagic

    kinds = dict.fromkeys(match.mime_type for match in puremagic.magic_file(path))
    return [kind for kind in kinds if kind and kind not in TEXTS] or [UNKNOWN]


def _by_signature(head: bytes, ending: str) -> str | None:
    for pattern, kind in SIGNATURES:
        if pattern.match(head):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, kind in MARKUP:
        if pattern.match(text):
            return kind
    return HTML if FRAGMENT.match(text) and TYPE_OF.get(ending) != MARKDOWN else None


def _foreign_type(ending: str, found: list[str], allowed: AllowedTypes) -> str:
    """The type of a content whose ending is unknown here: an operator must have allowed it."""
    guess = _guess(ending)
    disguised = next((kind for kind in found if kind in ENDINGS and kind not in MATERIALS), None)
    if disguised:
        raise _disguise(disguised, ending)
    made_of = MATERIALS.get(found[0])
    is_so = guess in found or bool(made_of and made_of.fullmatch(guess))
    if ending in allowed.endings or (is_so and guess in allowed.types):
        return guess if is_so else found[0]
    raise FileTypeNotAllowed(f"Files that end in {ending} may not be uploaded here.")


def _disguise(kind: str, ending: str) -> FileTypeNotAllowed:
    if kind == UNKNOWN and TYPE_OF.get(ending) in TEXTS:
        return FileTypeNotAllowed(f"What ends in {ending} is text in UTF-8; the content is not.")
    return FileTypeNotAllowed(f"The content is {kind}, to which the ending {ending} does not belong.")


def _guess(ending: str) -> str:
    """The type that files of this ending mostly have."""
    # Here, as it reads a list of a thousand kinds of files.
    import puremagic

    by_puremagic = (row.mime_type for row in puremagic.magic_header_array if row.extension == ending)
    return _mime_types.types_map[True].get(ending) or next(filter(None, by_puremagic), UNKNOWN)
