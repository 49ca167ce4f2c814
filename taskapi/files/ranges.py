"""Which part of a file is asked for (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

from taskapi.files.errors import RangeNotSatisfiable

# One range of bytes; the names of units are read in any case.
ONE_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file: from ``start`` up to, and not with, ``end``."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.end - 1}/{size}"


def requested_part(header: str | None, size: int) -> Part | None:
    """The part of a file of ``size`` bytes that ``Range`` asks for; None for all of it.

    What cannot be read is ignored, as the RFC asks (14.2), and so are several ranges in one
    header, which it allows: the whole file answers them as well.

    Raises:
        RangeNotSatisfiable: the range begins beyond the end.
    """
    match = ONE_RANGE.fullmatch(header or "")
    if match is None or not any(match.groups()):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        return _last_bytes(last or 0, size)
    if last is not None and last < first:
        return None
    if first >= size:
        raise _unsatisfiable(size)
    return Part(first, size if last is None else min(last + 1, size))


def _last_bytes(length: int, size: int) -> Part | None:
    if length == 0:
        raise _unsatisfiable(size)
    # The last bytes of nothing: the range is satisfiable, but no Content-Range could name it.
    return Part(max(size - length, 0), size) if size else None


def _unsatisfiable(size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(
        f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
    )
