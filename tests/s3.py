"""A real S3 server for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from moto.server import ThreadedMotoServer

from taskapi.clients.storage import s3
from taskapi.clients.storage.s3 import S3Storage
from taskapi.config_files import StorageSettings


@contextmanager
def s3_server() -> Iterator[str]:
    """A server on a free port of loopback; its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    # It leaves its socket open.
    if server._server is not None:
        server._server.server_close()


def bucket_settings(url: str, directory: Path, **changes: Any) -> StorageSettings:
    """Settings of a bucket of its own at the server; there is no such bucket yet."""
    given: dict[str, Any] = {
        "bucket": f"bucket-{uuid4()}",
        "access_key_id": "id",
        "secret_access_key": "secret",
    }
    return StorageSettings(directory=directory, endpoint_url=url, **{**given, **changes})


def new_bucket(url: str, directory: Path, **changes: Any) -> S3Storage:
    """A store in a new, empty bucket."""
    storage = store_at(url, directory, **changes)
    storage._client().create_bucket(Bucket=storage._bucket)
    return storage


def store_at(url: str, directory: Path, **changes: Any) -> S3Storage:
    """A store whose bucket need not be there."""
    settings = bucket_settings(url, directory, **changes)
    storage = S3Storage(settings)
    # Making a client takes a third of a second: tests with the same limits share one.
    limits = (s3.ATTEMPTS, s3.ANSWER_SECONDS)
    storage._made = (os.getpid(), _client(url, settings.secret_access_key, limits))
    return storage


@cache
def _client(url: str, secret: str, _limits: tuple[float, ...]) -> Any:
    return s3._connect(bucket_settings(url, Path(), secret_access_key=secret))
