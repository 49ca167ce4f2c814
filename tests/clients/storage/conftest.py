"""Stores for tests."""

from pathlib import Path

import pytest

from taskapi.clients.storage.base import Storage
from taskapi.clients.storage.disk import DiskStorage
from tests.s3 import new_bucket


@pytest.fixture
def disk(tmp_path: Path) -> DiskStorage:
    return DiskStorage(tmp_path / "files")


@pytest.fixture(params=["disk", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each kind of store, empty."""
    if request.param == "disk":
        found: DiskStorage = request.getfixturevalue("disk")
        return found
    return new_bucket(request.getfixturevalue("s3_url"), tmp_path, prefix="things/of ours")
