"""Other settings for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask import Flask


@contextmanager
def settings_changed(app: Flask, **changes: Any) -> Iterator[None]:
    """The application with other settings for a while."""
    before = app.extensions["taskapi_settings"]
    app.extensions["taskapi_settings"] = replace(before, **changes)
    try:
        yield
    finally:
        app.extensions["taskapi_settings"] = before
