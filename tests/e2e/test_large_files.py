"""Large files through a real server: whole, and in no more memory than small ones."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.installation import START_SECONDS, ApiUser, Installation, wait_for
from tests.processes import children_of

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("installation", ["sqlite"], indirect=True)]

MIB = 1_048_576
LINE = b"What was uploaded is what comes back, however much it is, ......"
GROWTH_KIB = 40 * 1024


def test_64_mib_come_back_whole_in_little_memory(installation: Installation) -> None:
    send_and_receive(installation, 64)


@pytest.mark.soak
def test_a_gibibyte_comes_back_whole_in_little_memory(installation: Installation) -> None:
    send_and_receive(installation, 1024)


@pytest.mark.soak
def test_through_a_bucket_too(installation: Installation, s3_url: str, tmp_path: Path) -> None:
    from tests.s3 import new_bucket

    bucket = new_bucket(s3_url, tmp_path)._bucket
    installation.environment |= {"STORAGE_URL": f"s3://{bucket}", "S3_ENDPOINT_URL": s3_url}
    installation.environment |= {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    send_and_receive(installation, 256)


def send_and_receive(installation: Installation, mebibytes: int) -> None:
    limits = {"MAX_FILE_SIZE": str(2**31), "FILE_QUOTA": "0", "WEB_CONCURRENCY": "1"}
    installation.environment |= limits
    installation.start("web")
    user: ApiUser = wait_for(lambda: _registered(installation), seconds=START_SECONDS, what="the start")
    # What a first upload and download load stays in memory.
    _round(user, 1)
    before = _peak_memory(installation)
    _round(user, mebibytes)
    assert _peak_memory(installation) - before < GROWTH_KIB


def _registered(installation: Installation) -> ApiUser | None:
    try:
        return ApiUser(installation.url, "olivia@example.org")
    except requests.ConnectionError:
        return None


def _round(user: ApiUser, mebibytes: int) -> None:
    """Upload that much, of a length that is not told beforehand, and download it again."""
    sent, received = hashlib.sha256(), hashlib.sha256()

    def content() -> Iterator[bytes]:
        for number in range(mebibytes):
            block = b"%016d" % number * 64 + LINE * (MIB // 64 - 16)
            sent.update(block)
            yield block

    created = user.session.post(f"{user.url}/files/raw?filename=lines.txt", data=content(), timeout=300)
    assert created.ok, created.text
    file = created.json()
    assert (file["size"], file["sha256"]) == (mebibytes * MIB, sent.hexdigest())
    with user.session.get(f"{user.url}/files/{file['id']}/content", timeout=300, stream=True) as answer:
        for piece in answer.iter_content(MIB):
            received.update(piece)
    assert received.digest() == sent.digest()


def _peak_memory(installation: Installation) -> int:
    """The most that the web process ever held in memory, in KiB."""
    parent = installation.processes["web"].pid
    (child,) = children_of(parent)
    (line,) = (
        row for row in Path(f"/proc/{child}/status").read_text().splitlines() if row.startswith("VmHWM")
    )
    return int(line.split()[1])
