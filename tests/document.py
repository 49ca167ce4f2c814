"""The OpenAPI document, for tests that are made from it before any database is there."""

import tempfile
from pathlib import Path
from typing import Any

from taskapi.app import create_app
from tests.conftest import settings_for

DOCUMENT_APP = create_app(settings_for(Path(tempfile.gettempdir()), "unix:///nowhere"))
DOCUMENT: dict[str, Any] = DOCUMENT_APP.test_client().get("/openapi.json").json or {}
