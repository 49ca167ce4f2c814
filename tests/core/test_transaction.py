"""``transaction()``: all or nothing, and what runs after it."""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import (
    Base,
    db,
    in_transaction,
    on_commit,
    once_on_commit,
    savepoint,
    session,
    transaction,
)
from taskapi.core.errors import Conflict
from taskapi.core.events import Event
from taskapi.core.ids import new_id
from tests.core.conftest import read_number, write_number

pytestmark = pytest.mark.usefixtures("probe")


class Refused(Conflict):
    """An ordinary refusal."""


class Counted(Conflict):
    """A refusal whose bookkeeping must survive it."""

    keep_changes = True


# The tree of errors is the application's: these two are only looked at here, and documented nowhere.
Refused.code, Counted.code = "test_refused", "test_counted"
Refused.of_commands = Counted.of_commands = True


def an_event(**values: UUID) -> Event:
    return Event(type="test.happened", subject_type="test", subject_id=new_id(), **values)


def fail_after(*steps: Callable[[], object], error: BaseException) -> None:
    """A transaction that does these steps and then fails."""
    with transaction():
        for step in steps:
            step()
        raise error


def test_what_happens_in_the_block_is_committed() -> None:
    with transaction():
        write_number(1, 10)
        assert read_number(1) is None
    assert read_number(1) == 10


@pytest.mark.parametrize("error", [Refused(), ValueError("a bug"), KeyboardInterrupt()], ids=repr)
def test_an_error_rolls_everything_back(error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail_after(lambda: write_number(1, 10), error=error)
    assert read_number(1) is None
    assert not in_transaction()


def test_an_error_that_keeps_changes_commits_before_it_goes_on() -> None:
    heard: list[str] = []
    with pytest.raises(Counted):
        fail_after(lambda: write_number(1, 10), lambda: on_commit(heard.append, "committed"), error=Counted())
    assert (read_number(1), heard) == (10, ["committed"])


def test_a_nested_block_joins_the_outer_one() -> None:
    def nested() -> None:
        with transaction():
            write_number(1, 10)

    with pytest.raises(Refused):
        fail_after(nested, lambda: write_number(2, read_number(1) or 0), error=Refused())
    assert (read_number(1), read_number(2)) == (None, None)


def test_an_error_of_a_nested_block_that_keeps_changes_keeps_those_of_the_outer_one() -> None:
    def nested() -> None:
        fail_after(error=Counted())

    with pytest.raises(Counted):
        fail_after(lambda: write_number(1, 10), nested, error=Refused())
    assert read_number(1) == 10


def test_hooks_run_in_their_order_after_the_commit() -> None:
    heard: list[object] = []
    with transaction():
        write_number(1, 10)
        on_commit(lambda: heard.append(read_number(1)))
        with transaction():
            on_commit(heard.append, "second")
        assert heard == []
    assert heard == [10, "second"]


def test_a_hook_asked_for_twice_may_run_once() -> None:
    calls = []

    def hook() -> None:
        calls.append(in_transaction())

    with transaction():
        once_on_commit(hook)
        once_on_commit(hook)
    assert calls == [False]


def test_hooks_of_a_rolled_back_transaction_never_run() -> None:
    heard: list[str] = []
    with pytest.raises(Refused):
        fail_after(lambda: on_commit(heard.append, "committed"), error=Refused())
    with transaction():
        pass
    assert heard == []


def test_every_hook_runs_even_if_an_earlier_one_raises() -> None:
    heard: list[str] = []

    def commit_with_hooks() -> None:
        with transaction():
            write_number(1, 10)
            on_commit(int, "no number")
            on_commit(heard.append, "second")

    with pytest.raises(ValueError, match="no number"):
        commit_with_hooks()
    assert (heard, read_number(1)) == (["second"], 10)


def test_a_hook_may_open_a_transaction_of_its_own() -> None:
    def count() -> None:
        with transaction():
            write_number(2, 20)

    with transaction():
        on_commit(count)
    assert read_number(2) == 20


@pytest.mark.parametrize(
    "register",
    [
        lambda event: on_commit(repr, event),
        lambda event: on_commit(dict, event=event),
        lambda event: on_commit(lambda: repr(event)),
    ],
    ids=["argument", "keyword", "closure"],
)
def test_a_hook_refuses_an_object_that_may_be_stale_by_then(register: Callable[[Base], None]) -> None:
    with transaction(), pytest.raises(TypeError, match="pass the id of Event"):
        register(an_event())


def test_a_hook_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="needs a transaction"):
        on_commit(list)


def test_a_read_before_the_block_does_no_harm() -> None:
    session().execute(sa.text("SELECT * FROM probe"))
    with transaction():
        write_number(1, 10)
    assert read_number(1) == 10


def test_the_block_sees_what_others_committed_since_an_earlier_read(probe: Flask) -> None:
    with transaction():
        write_number(1, 10)
    session().execute(sa.text("SELECT * FROM probe"))
    with db.engine.execution_options(taskapi_writes=True).begin() as other:
        other.execute(sa.text("UPDATE probe SET value = 11"))
    with transaction():
        assert session().scalar(sa.text("SELECT value FROM probe")) == 11


def test_objects_changed_outside_of_the_block_are_an_error_of_the_program() -> None:
    session().add(an_event())
    with pytest.raises(RuntimeError, match="outside of transaction"), transaction():
        pass
    assert not in_transaction()


def test_objects_stay_readable_after_the_commit() -> None:
    with transaction():
        event = an_event()
        session().add(event)
    session().close()
    assert event.type == "test.happened"


def test_an_error_of_the_last_flush_rolls_everything_back() -> None:
    same = new_id()

    def add_twice() -> None:
        with transaction() as active:
            write_number(1, 10)
            active.add_all([an_event(id=same), an_event(id=same)])

    with pytest.raises(sa.exc.IntegrityError):
        add_twice()
    assert read_number(1) is None


def undone(*steps: Callable[[], object]) -> None:
    """A savepoint that does these steps and fails."""
    with suppress(ValueError), savepoint():
        for step in steps:
            step()
        raise ValueError


def test_a_savepoint_that_fails_undoes_only_itself() -> None:
    with transaction():
        write_number(1, 10)
        undone(lambda: write_number(1, 11), lambda: write_number(2, 20))
        write_number(3, 30)
    assert [read_number(key) for key in (1, 2, 3)] == [10, None, 30]


def test_the_hooks_of_a_savepoint_that_fails_never_run() -> None:
    heard: list[str] = []
    with transaction():
        on_commit(heard.append, "before")
        undone(lambda: on_commit(heard.append, "inside"))
        on_commit(heard.append, "after")
    assert heard == ["before", "after"]


def test_a_savepoint_that_succeeds_is_committed_with_the_rest() -> None:
    heard: list[str] = []
    with transaction():
        with savepoint():
            write_number(1, 10)
            on_commit(heard.append, "inside")
        assert (read_number(1), heard) == (None, [])
    assert (read_number(1), heard) == (10, ["inside"])


def test_a_savepoint_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="needs a transaction"), savepoint():
        pass
