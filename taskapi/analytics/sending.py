"""Exports as answers, sent piece by piece however long the client takes."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from flask import Response

from taskapi.analytics.exporting import csv_of_tasks, xlsx_of_tasks
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.incoming import PIECE_BYTES
from taskapi.core.streaming import made_in_context
from taskapi.files.sending import disposition
from taskapi.files.zips import XLSX

TYPES = {"csv": "text/csv; charset=utf-8; header=present", "xlsx": XLSX}


class _Pieces:
    """Iterates over a file, and closes it at its end, or with the answer when the client goes before."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = b"" if self._file.closed else self._file.read(PIECE_BYTES)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._file.close()


def send_tasks(*, actor: Actor, format: str, **filters: Any) -> Response:  # noqa: A002 - the parameter's name
    """The answer to a request for an export of tasks.

    Raises:
        StorageFull, StorageUnavailable
    """
    if format == "csv":
        pieces = csv_of_tasks(actor=actor, **filters)
        # The first piece now: what fails with it can still be told as a problem.
        response = Response(chain([next(pieces)], made_in_context(pieces)))
    else:
        file = xlsx_of_tasks(actor=actor, **filters)
        response = Response(_Pieces(file))
        response.content_length = file.seek(0, 2)
        file.seek(0)
    today = clock.now().astimezone(ZoneInfo(actor.timezone)).date()
    response.headers["Content-Type"] = TYPES[format]
    response.headers["Content-Disposition"] = disposition(f"tasks-{today}.{format}")
    return response
