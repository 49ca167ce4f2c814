"""Properties as lines of iCalendar text (RFC 5545, 3.1 and 3.3.11)."""

import re

MAX_OCTETS = 75
BACKSLASH = ord("\\")
# No text may hold them, but for tabs and breaks of lines.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text(value: str) -> str:
    """A text as the value of a property; control characters are left out, all breaks of lines are alike."""
    value = CONTROL.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    # The backslash first: the others bring theirs.
    value = value.replace("\\", r"\\").replace(";", r"\;").replace(",", r"\,")
    return value.replace("\n", r"\n")


def line(name: str, value: str) -> bytes:
    """A property; what is longer than 75 octets goes on in a line that begins with a space."""
    rest = f"{name}:{value}".encode()
    lines, room = [], MAX_OCTETS
    while len(rest) > room:
        end = _end_of_line(rest, room)
        lines.append(rest[:end])
        # The space counts.
        rest, room = rest[end:], MAX_OCTETS - 1
    return b"\r\n ".join((*lines, rest)) + b"\r\n"


def _end_of_line(octets: bytes, room: int) -> int:
    """Where to cut: not within a letter (RFC 3629), nor behind a backslash, where some programs stumble."""
    end = room
    while octets[end] & 0xC0 == 0x80:
        end -= 1
    return end - 1 if octets[end - 1] == BACKSLASH else end
