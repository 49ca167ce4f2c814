"""Objects in a bucket of Amazon S3, or of any store that speaks its protocol."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import structlog
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from taskapi.clients.storage.base import (
    ObjectMissing,
    Reader,
    StorageFull,
    StorageUnavailable,
    StoredObject,
)
from taskapi.clients.storage.disk import KEY, checked_key
from taskapi.clients.storage.local import Incoming, disk_errors
from taskapi.config_files import StorageSettings

log = structlog.get_logger(__name__)

# At DEBUG it tells whose key signs, and the token of a session.
logging.getLogger("botocore").setLevel(logging.WARNING)

CONNECT_SECONDS, ANSWER_SECONDS, ATTEMPTS = 5, 30, 3
# One connection for each download in progress; more are opened when needed but not kept.
CONNECTIONS = 32
# What is larger goes in parts; of more than 10,000, which S3 does not take, larger ones are made.
PART_BYTES = 8 * 2**20
PARTS = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
DEFAULT_REGION = "us-east-1"
INSUFFICIENT_STORAGE = 507
NO_ROOM = frozenset(
    {"EntityTooLarge", "InsufficientStorage", "QuotaExceeded", "ServiceQuotaExceeded", "XMinioStorageFull"}
)
MEND_KEY = "mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
MEND_REGION = "set AWS_REGION to the region of the bucket"
HINTS = {
    "AccessDenied": "allow the key s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket",
    "AuthorizationHeaderMalformed": MEND_REGION,
    "InvalidAccessKeyId": MEND_KEY,
    "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoSuchBucket": "create the bucket, or mend STORAGE_URL",
    "PermanentRedirect": MEND_REGION,
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": MEND_KEY,
}


class S3Storage:
    """Keeps objects in a bucket, below a prefix if there is one."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._bucket = settings.bucket or ""
        self._prefix = f"{settings.prefix}/" if settings.prefix else ""
        self._incoming = Incoming(settings.directory / "incoming")
        self._made: tuple[int, Any] | None = None

    @property
    def incoming(self) -> Path:
        return self._incoming.path()

    def put(self, key: str, source: Path) -> None:
        name = self._name(key)
        with disk_errors(), source.open("rb") as content, self._errors():
            # Of a failed multipart upload it removes the parts.
            self._client().upload_fileobj(content, self._bucket, name, Config=PARTS)
        with disk_errors():
            source.unlink(missing_ok=True)

    def open(self, key: str, *, start: int = 0) -> Reader:
        # Of nothing there is no first byte: a range would be refused for an empty object.
        part = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._errors():
                found = self._client().get_object(Bucket=self._bucket, Key=self._name(key), **part)
        except _BeyondEnd:
            return BytesIO()
        return _BodyReader(self, found["Body"])

    def delete(self, key: str) -> None:
        # Most stores say nothing of an object that is not there; Google's does.
        with suppress(ObjectMissing), self._errors():
            self._client().delete_object(Bucket=self._bucket, Key=self._name(key))

    def presign(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str | None:
        if not self._settings.signed_downloads:
            return None
        asked = {
            "Bucket": self._bucket,
            "Key": self._name(key),
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
            "ResponseCacheControl": "private, no-store",
        }
        with self._errors():
            url: str = self._client().generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
        return url

    def walk(self) -> Iterator[StoredObject]:
        with self._errors():
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._prefix)
                    if KEY.fullmatch(key):
                        yield StoredObject(key=key, size=entry["Size"], modified_at=entry["LastModified"])

    def _name(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _client(self) -> Any:
        """The client of this process: threads share it, but a fork must not share its connections."""
        # Two threads that come first may make one each; a lock could be left shut by a fork.
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._made = (os.getpid(), _connect(self._settings))
        return made[1]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Tell what the store answered to the log, and to the client that it is full or away.

        Raises:
            ObjectMissing, StorageFull, StorageUnavailable
        """
        try:
            yield
        except ClientError as error:
            raise self._meaning_of(error.response) from error
        except BotoCoreError as error:
            raise self._failed(type(error).__name__) from error

    def _meaning_of(self, answer: Any) -> Exception:
        code = str(answer.get("Error", {}).get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NoSuchKey":
            return ObjectMissing()
        if code == "InvalidRange":
            return _BeyondEnd()
        if code in NO_ROOM or status == INSUFFICIENT_STORAGE:
            log.error("storage.bucket_full", bucket=self._bucket, code=code)
            return StorageFull()
        return self._failed(code, status=status)

    def _failed(self, code: str, **facts: object) -> StorageUnavailable:
        # The code and no message: that may hold an address with a password, or who signed.
        log.error("storage.bucket_failed", bucket=self._bucket, code=code, hint=HINTS.get(code), **facts)
        return StorageUnavailable()


class _BeyondEnd(Exception):
    """The content ends where reading was to begin, or before."""


class _BodyReader:
    def __init__(self, storage: S3Storage, body: Any) -> None:
        self._storage = storage
        self._body = body

    def read(self, size: int, /) -> bytes:
        pieces: list[bytes] = []
        with self._storage._errors():
            # It may answer with less than it was asked for, as it comes from the network.
            while size > 0 and (piece := self._body.read(size)):
                pieces.append(piece)
                size -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self._body.close()


def _connect(settings: StorageSettings) -> Any:
    config = Config(
        signature_version="s3v4",
        # Other stores than Amazon's write newer checksums into the object, or refuse them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        max_pool_connections=CONNECTIONS,
    )
    # A session is not made for threads, and the default one is everybody's.
    session = boto3.session.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        aws_session_token=settings.session_token,
        region_name=settings.region or (DEFAULT_REGION if settings.endpoint_url else None),
    )
    return session.client("s3", endpoint_url=settings.endpoint_url, config=config)
