"""Answers that are made while they are sent."""

from collections.abc import Iterator

from flask import Flask, current_app


def made_in_context(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Each piece is made in a context of its own: that of the request is over by then."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return _made_in(app, pieces)


def _made_in(app: Flask, pieces: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        with app.app_context():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece
