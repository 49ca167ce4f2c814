"""What tests of files share."""

import pytest
from flask import Flask

from taskapi.clients.storage import current_storage
from tests.schedules.conftest import time

__all__ = ("time",)


@pytest.fixture
def empty_store(app: Flask) -> Flask:
    """The application, without the objects that other tests left in its store."""
    with app.app_context():
        storage = current_storage()
        assert storage.incoming
        for found in list(storage.walk()):
            storage.delete(found.key)
    return app
