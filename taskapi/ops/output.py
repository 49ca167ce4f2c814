"""What the operator sees: the lines of all processes, each with the name of its process."""

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import ClassVar, TextIO

from honcho.colour import get_colours
from honcho.printer import Message, Printer


class LineBuffer:
    """Cuts the chunks that a pipe gives into whole lines."""

    # A longer line is printed in pieces: a process must not fill the memory with one line.
    LIMIT: ClassVar[int] = 65_536

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes; an empty chunk is the end and completes the last."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._rest and (not chunk or len(self._rest) >= self.LIMIT):
            lines.append(self._rest)
            self._rest = b""
        return lines


class Output:
    """Prints lines with a time and a name in front, in one colour per name."""

    def __init__(self, stream: TextIO, names: list[str]) -> None:
        # A terminal that cannot show a letter must not end the service.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream
        self._printer = Printer(output=stream, width=max(map(len, names)))
        self._colours = dict(zip(names, get_colours(), strict=False))

    def line(self, name: str, text: bytes | str) -> None:
        """Print one line of a process."""
        now = datetime.now().astimezone()
        message = Message(type="line", data=text, time=now, name=name, colour=self._colours.get(name))
        self._write(lambda: self._printer.write(message))

    def block(self, text: str) -> None:
        """Print a text as it is."""
        self._write(lambda: self._stream.write(f"{text}\n"))

    def _write(self, write: Callable[[], object]) -> None:
        # Who reads may have gone, or the terminal may be closed: the service goes on without.
        with suppress(OSError):
            write()
            self._stream.flush()
