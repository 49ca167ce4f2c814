"""The store of files' contents: a directory, or a bucket if one is configured."""

from flask import Flask, current_app

from taskapi.clients.storage.base import Storage
from taskapi.clients.storage.disk import DiskStorage
from taskapi.config import Settings
from taskapi.config_files import StorageSettings


def init_storage(app: Flask, settings: Settings) -> None:
    """Give the application its store; nothing is connected or made yet."""
    app.extensions["taskapi_storage"] = make_storage(settings.storage)


def make_storage(settings: StorageSettings) -> Storage:
    if settings.bucket is None:
        return DiskStorage(settings.directory)
    # Half a second and 25 MiB, which those without a bucket need not pay.
    from taskapi.clients.storage.s3 import S3Storage

    return S3Storage(settings)


def current_storage() -> Storage:
    """The store of the running application."""
    found: Storage = current_app.extensions["taskapi_storage"]
    return found
