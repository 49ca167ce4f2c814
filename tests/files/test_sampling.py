"""The housekeeping job sample_files"""

import io
import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from taskapi.core import clock
from taskapi.files import sampling
from taskapi.files.jobs import sample_files
from tests.files.faults import store_failing, store_whole
from tests.files.making import CONTENT, replace_object, row_of, store
from tests.people import Person


def due(person: Person, content: bytes = CONTENT, *, hours: float = 1, **columns: Any) -> UUID:
    """A file whose turn came so many hours ago."""
    turn = clock.now() - timedelta(hours=hours)
    return store(person, content, next_check_at=turn, checked_at=turn, **columns)


def sampled(app: Flask) -> int:
    with app.app_context():
        return sampling.sample_files()


def is_due(app: Flask, file_id: UUID) -> bool:
    row = row_of(app, file_id)
    assert row is not None
    return row.next_check_at <= clock.now()


def damage_of(app: Flask, file_id: UUID) -> str | None:
    row = row_of(app, file_id)
    assert row is not None
    return row.damage


def test_damage_is_found_before_anybody_asks(app: Flask, owner: Person) -> None:
    changed, missing, well = due(owner), due(owner), due(owner)
    replace_object(app, changed, b"something else")
    replace_object(app, missing, None)
    with app.app_context():
        sample_files()
    assert [damage_of(app, file_id) for file_id in (changed, missing, well)] == ["changed", "missing", None]


def test_a_file_is_left_alone_for_a_day_after_it_was_checked(app: Flask, owner: Person) -> None:
    uploaded, verified = store(owner), due(owner)
    owner.post(f"/api/files/{verified}/verify")
    assert sampled(app) == 0
    tomorrow = clock.now() + timedelta(hours=24, minutes=1)
    with clock.use(lambda: tomorrow):
        assert sampled(app) == 2
        assert sampled(app) == 0
        assert not is_due(app, uploaded)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_FILES", 2), ("MAX_BYTES", len(CONTENT) + 1)], ids=["files", "bytes"]
)
def test_a_round_takes_the_longest_unchecked_and_leaves_the_rest_to_the_next(
    app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(sampling, limit, value)
    files = [due(owner, hours=hours) for hours in (1, 3, 2)]
    assert sampled(app) == 2
    assert [is_due(app, file_id) for file_id in files] == [True, False, False]
    assert sampled(app) == 1


def test_a_round_ends_when_its_time_is_up(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MAX_SECONDS", 0.0)
    due(owner)
    assert sampled(app) == 0


def test_a_store_that_is_away_ends_the_round_with_a_warning(app: Flask, owner: Person) -> None:
    first, second = due(owner, hours=2), due(owner, hours=1)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    try:
        with store_failing(app):
            assert sampled(app) == 0
    finally:
        logging.getLogger().removeHandler(handler)
    assert "files.sample_put_off" in written.getvalue()
    assert [damage_of(app, file_id) for file_id in (first, second)] == [None, None]
    assert is_due(app, second)


def test_a_file_on_which_a_worker_dies_does_not_come_first_for_ever(app: Flask, owner: Person) -> None:
    deadly, other = due(owner, hours=2), due(owner, hours=1)

    def die() -> None:
        raise SystemExit

    with store_failing(app, fail=die), pytest.raises(SystemExit):
        sampled(app)
    assert not is_due(app, deadly)
    assert sampled(app) == 1
    assert not is_due(app, other)


def test_two_rounds_at_once_share_the_files(app: Flask, owner: Person) -> None:
    for _ in range(3):
        due(owner)
    others: list[int] = []

    def another_round() -> None:
        with store_whole(app):
            others.append(sampled(app))

    with store_failing(app, fail=another_round):
        assert sampled(app) == 1
    assert others == [2]
