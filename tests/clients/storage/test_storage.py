"""What every store does, whatever kind it is."""

import random
from pathlib import Path

import pytest

from taskapi.clients.storage.base import ObjectMissing, Storage, StoredObject
from taskapi.core import clock
from tests.clients.storage.contents import KEY, OTHER_KEY, pieces_of, put, read_all

CONTENT = b"every byte of it comes back"


@pytest.mark.parametrize("content", [CONTENT, b"", b"\x00", bytes(range(256)) * 20])
def test_what_was_put_comes_back(storage: Storage, content: bytes) -> None:
    put(storage, content)
    assert read_all(storage) == content


def test_a_file_is_gone_from_incoming_once_it_was_put(storage: Storage) -> None:
    put(storage, CONTENT)
    assert list(storage.incoming.iterdir()) == []


@pytest.mark.parametrize("start", [1, 12, len(CONTENT) - 1, len(CONTENT)])
def test_reading_begins_where_it_is_asked_to(storage: Storage, start: int) -> None:
    put(storage, CONTENT)
    assert read_all(storage, start=start) == CONTENT[start:]


def test_a_reader_gives_as_much_as_it_is_asked_for_until_the_end(storage: Storage) -> None:
    put(storage, CONTENT)
    reader = storage.open(KEY)
    assert [len(piece) for piece in pieces_of(reader, 10)] == [10, 10, 7]
    assert reader.read(10) == b""
    reader.close()
    reader.close()


def test_a_large_content_comes_back_piece_by_piece(storage: Storage) -> None:
    # More than is sent in one part to a bucket, and no whole number of parts.
    content = random.Random(5).randbytes(9 * 2**20 + 5)
    put(storage, content)
    assert read_all(storage) == content
    assert read_all(storage, start=9 * 2**20) == content[-5:]


def test_what_is_not_there_is_missing(storage: Storage) -> None:
    put(storage, CONTENT, key=OTHER_KEY)
    with pytest.raises(ObjectMissing):
        storage.open(KEY)


def test_a_deleted_object_is_missing_and_may_be_deleted_again(storage: Storage) -> None:
    put(storage, CONTENT)
    for _ in range(2):
        storage.delete(KEY)
        with pytest.raises(ObjectMissing):
            storage.open(KEY)


def test_deleting_leaves_the_others(storage: Storage) -> None:
    put(storage, CONTENT)
    put(storage, b"another", key=OTHER_KEY)
    storage.delete(KEY)
    assert read_all(storage, key=OTHER_KEY) == b"another"


def test_who_reads_an_object_that_is_put_again_sees_one_content_and_not_half_of_each(
    storage: Storage,
) -> None:
    put(storage, b"a" * 100_000)
    reader = storage.open(KEY)
    first = reader.read(10)
    put(storage, b"b" * 50_000)
    rest = b"".join(pieces_of(reader, 65_536))
    reader.close()
    assert first + rest == b"a" * 100_000
    assert read_all(storage) == b"b" * 50_000


def test_all_objects_are_walked_in_the_order_of_their_keys(storage: Storage) -> None:
    keys = [f"{number:032x}" for number in (1, 2, 300, 2**100, 2**120, 2**128 - 1)]
    for key in random.Random(1).sample(keys, len(keys)):
        put(storage, key.encode()[:5], key=key)
    (storage.incoming / "upload").write_bytes(b"not an object yet")
    found = list(storage.walk())
    assert [(item.key, item.size) for item in found] == [(key, 5) for key in keys]
    assert all(abs((clock.now() - item.modified_at).total_seconds()) < 60 for item in found)


def test_an_empty_store_has_nothing_to_walk(storage: Storage) -> None:
    assert storage.incoming.is_dir()
    assert list(storage.walk()) == []


@pytest.mark.parametrize(
    "key", ["", "..", f"../{KEY}", KEY[:-1], KEY + "0", KEY.upper(), KEY[:-1] + "\n", KEY + "\n"]
)
def test_what_is_no_key_leads_nowhere(storage: Storage, tmp_path: Path, key: str) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT)
    for use in (storage.open, storage.delete, lambda key: storage.put(key, outside)):
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            use(key)
    assert outside.read_bytes() == CONTENT


def test_there_are_no_signed_urls_unless_they_are_configured(storage: Storage) -> None:
    assert storage.presign(KEY, seconds=60, content_type="text/plain", disposition="attachment") is None


def test_an_object_has_its_size_and_age(storage: Storage) -> None:
    put(storage, CONTENT)
    [found] = storage.walk()
    assert found == StoredObject(key=KEY, size=len(CONTENT), modified_at=found.modified_at)
