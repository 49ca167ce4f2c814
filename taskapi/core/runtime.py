"""The settings of the running application, for code that has none at hand."""

from flask import current_app

from taskapi.config import Settings


def runtime_settings() -> Settings:
    found: Settings = current_app.extensions["taskapi_settings"]
    return found
