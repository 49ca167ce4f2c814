"""A bucket: what is asked of it, signed URLs, and stores that refuse, stall or go away."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from boto3.s3.transfer import TransferConfig
from pytest_httpserver import HTTPServer
from structlog.testing import capture_logs
from werkzeug import Request, Response

from taskapi.clients.storage import make_storage, s3
from taskapi.clients.storage.base import ObjectMissing, StorageFull, StorageUnavailable
from taskapi.clients.storage.s3 import S3Storage
from tests.clients.servers import raw_server, saying, silent
from tests.clients.storage.contents import KEY, put, read_all
from tests.s3 import bucket_settings, new_bucket, store_at

SECRET = "the-secret-of-the-bucket"
MEBIBYTE = 2**20


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setattr(s3, "ANSWER_SECONDS", 0.2)


@pytest.fixture
def answering(httpserver: HTTPServer, tmp_path: Path, impatient: None) -> Any:
    """Makes a store that gives one answer to everything."""

    def answering(status: int, code: str) -> S3Storage:
        error = f"<Error><Code>{code}</Code><Message>No. {SECRET}</Message></Error>"
        # Not its name, which is sent with every request that is signed.
        httpserver.expect_request(re.compile(".*")).respond_with_data(error, status, content_type="text/xml")
        return at(httpserver.url_for(""), tmp_path)

    return answering


def at(url: str, directory: Path, **changes: Any) -> S3Storage:
    return store_at(url.rstrip("/"), directory, secret_access_key=SECRET, **changes)


def uses(storage: S3Storage) -> Iterator[Any]:
    """Everything that needs the bucket's answer."""
    yield lambda: put(storage, b"content")
    yield lambda: storage.open(KEY)
    yield lambda: storage.delete(KEY)
    yield lambda: list(storage.walk())


@pytest.mark.parametrize(
    ("status", "code", "expected", "hint"),
    [
        (503, "SlowDown", StorageUnavailable, None),
        (500, "InternalError", StorageUnavailable, None),
        (403, "AccessDenied", StorageUnavailable, "s3:GetObject"),
        (403, "InvalidAccessKeyId", StorageUnavailable, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", StorageUnavailable, "AWS_SECRET_ACCESS_KEY"),
        (404, "NoSuchBucket", StorageUnavailable, "STORAGE_URL"),
        (400, "AuthorizationHeaderMalformed", StorageUnavailable, "AWS_REGION"),
        (403, "RequestTimeTooSkewed", StorageUnavailable, "clock"),
        (403, "QuotaExceeded", StorageFull, None),
        (400, "EntityTooLarge", StorageFull, None),
        (507, "XMinioStorageFull", StorageFull, None),
        (507, "Whatever", StorageFull, None),
    ],
)
def test_what_the_store_refuses_is_told_with_what_mends_it(
    answering: Any, status: int, code: str, expected: type[Exception], hint: str | None
) -> None:
    for use in uses(answering(status, code)):
        with capture_logs() as lines, pytest.raises(expected):
            use()
        is_full = expected is StorageFull
        assert lines[0]["event"] == ("storage.bucket_full" if is_full else "storage.bucket_failed")
        assert lines[0]["code"] == code
        assert (hint or "") in str(lines[0].get("hint"))
        assert SECRET not in str(lines)


def test_a_store_that_finds_nothing_to_delete_is_content(answering: Any) -> None:
    answering(404, "NoSuchKey").delete(KEY)


def test_a_store_that_is_away_is_unavailable(tmp_path: Path, impatient: None) -> None:
    for use in uses(at("http://127.0.0.1:9", tmp_path)):
        with pytest.raises(StorageUnavailable):
            use()


def test_a_slow_store_has_so_long_for_each_answer_and_is_asked_three_times(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_data("", 503)
    storage = at(httpserver.url_for(""), tmp_path)
    limits = storage._client().meta.config
    assert (limits.connect_timeout, limits.read_timeout) == (5, 30)
    with pytest.raises(StorageUnavailable):
        storage.open(KEY)
    assert len(httpserver.log) == 3


def test_a_store_that_stalls_is_unavailable(tmp_path: Path, impatient: None) -> None:
    with raw_server(silent) as port, pytest.raises(StorageUnavailable):
        at(f"http://127.0.0.1:{port}", tmp_path).open(KEY)


@pytest.mark.parametrize("stalls", [False, True])
def test_a_content_that_breaks_off_is_not_taken_for_the_end(
    tmp_path: Path, impatient: None, stalls: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    answer = saying(head, b"!", pause=0.5) if stalls else saying(head)
    with raw_server(answer) as port:
        reader = at(f"http://127.0.0.1:{port}", tmp_path).open(KEY)
        with pytest.raises(StorageUnavailable):
            reader.read(100)
        reader.close()


def test_without_a_key_the_log_names_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    keyless = bucket_settings("http://127.0.0.1:9", tmp_path, access_key_id=None, secret_access_key=None)
    storage = S3Storage(keyless)
    with capture_logs() as lines, pytest.raises(StorageUnavailable):
        storage.open(KEY)
    assert "AWS_SECRET_ACCESS_KEY" in lines[0]["hint"]


def test_a_large_content_goes_in_parts(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    five = TransferConfig(
        multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE, use_threads=False
    )
    monkeypatch.setattr(s3, "PARTS", five)
    storage = new_bucket(s3_url, tmp_path)
    content = b"".join(bytes([number]) * MEBIBYTE for number in range(12))
    put(storage, content)
    assert read_all(storage) == content
    answer = storage._client().head_object(Bucket=storage._bucket, Key=KEY)
    # As stores mark what came in three parts.
    assert answer["ETag"].endswith('-3"')


def test_the_parts_of_an_upload_that_fails_are_given_up(
    httpserver: HTTPServer, tmp_path: Path, impatient: None
) -> None:
    begun = "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>"
    httpserver.expect_request(re.compile(".*"), method="POST").respond_with_data(begun)
    httpserver.expect_request(re.compile(".*"), method="PUT").respond_with_data("", 503)
    httpserver.expect_request(re.compile(".*"), method="DELETE").respond_with_data("", 204)
    with pytest.raises(StorageUnavailable):
        put(at(httpserver.url_for(""), tmp_path), bytes(9 * MEBIBYTE))
    last, _answer = httpserver.log[-1]
    assert (last.method, last.args["uploadId"]) == ("DELETE", "7")


def test_a_content_is_sent_as_it_is_to_a_path_of_the_bucket(httpserver: HTTPServer, tmp_path: Path) -> None:
    storage = at(httpserver.url_for(""), tmp_path, bucket="things", prefix="of/ours")
    httpserver.expect_request(f"/things/of/ours/{KEY}", method="PUT").respond_with_data("")
    put(storage, b"content")
    [(sent, _answer)] = httpserver.log
    # Stores that do not know newer checksums write them into the object.
    assert sent.data == b"content"
    assert "Content-Encoding" not in sent.headers
    assert not [name for name in sent.headers.keys() if "checksum" in name.lower()]  # noqa: SIM118


def test_an_upload_whose_disk_cannot_be_read_is_a_clear_error(s3_url: str, tmp_path: Path) -> None:
    storage = new_bucket(s3_url, tmp_path)
    with pytest.raises(StorageUnavailable):
        storage.put(KEY, storage.incoming / "gone")
    assert list(storage.walk()) == []


def test_a_signed_url_serves_the_content_to_anybody_for_a_while(s3_url: str, tmp_path: Path) -> None:
    storage = new_bucket(s3_url, tmp_path, signed_downloads=True)
    put(storage, b"content")
    disposition = "attachment; filename*=UTF-8''%C3%BCbersicht.txt"
    url = storage.presign(KEY, seconds=300, content_type="text/plain", disposition=disposition)
    assert url is not None
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["300"]
    answer = urllib3.request("GET", url)
    assert answer.data == b"content"
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_what_lies_in_the_bucket_beside_our_objects_is_not_walked(s3_url: str, tmp_path: Path) -> None:
    storage = new_bucket(s3_url, tmp_path, prefix="ours")
    put(storage, b"content")
    for name in (KEY, f"ours/{KEY}.bak", f"ours/deeper/{KEY}", f"others/{KEY}"):
        storage._client().put_object(Bucket=storage._bucket, Key=name, Body=b"")
    assert [item.size for item in storage.walk()] == [7]


def test_more_objects_than_come_in_one_answer_are_walked(httpserver: HTTPServer, tmp_path: Path) -> None:
    def page(request: Request) -> Response:
        token = request.args.get("continuation-token", "0")
        entry = f"<Key>{int(token):032x}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified>"
        more = (
            f"<IsTruncated>true</IsTruncated><NextContinuationToken>{int(token) + 1}</NextContinuationToken>"
        )
        end = "<IsTruncated>false</IsTruncated>"
        rest = end if token == "2" else more
        return Response(f"<ListBucketResult>{rest}<Contents>{entry}</Contents></ListBucketResult>")

    httpserver.expect_request(re.compile(".*")).respond_with_handler(page)
    keys = [item.key for item in at(httpserver.url_for(""), tmp_path).walk()]
    assert keys == [f"{number:032x}" for number in range(3)]


def test_each_process_has_a_client_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = S3Storage(bucket_settings("http://127.0.0.1:9", tmp_path))
    mine = storage._client()
    assert storage._client() is mine
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert storage._client() is not mine


def test_a_bucket_is_used_when_one_is_configured(s3_url: str, tmp_path: Path) -> None:
    storage = make_storage(bucket_settings(s3_url, tmp_path))
    assert isinstance(storage, S3Storage)
    with pytest.raises(StorageUnavailable):
        storage.open(KEY)
    storage._client().create_bucket(Bucket=storage._bucket)
    with pytest.raises(ObjectMissing):
        storage.open(KEY)


def test_who_has_no_bucket_does_not_pay_for_the_client(tmp_path: Path) -> None:
    # Half a second of each start, and memory of each process.
    code = (
        "import sys; from pathlib import Path; from taskapi.clients import storage;"
        "from taskapi.config_files import StorageSettings as S;"
        "storage.make_storage(S(directory=Path('.'))); sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
