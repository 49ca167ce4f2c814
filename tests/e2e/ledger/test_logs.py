"""Errors in the log are found wherever they stand, unless a server that is away explains them."""

import json

import pytest

from tests.e2e.ledger.logs import BEGINS, unexplained_errors, warned_of

pytestmark = pytest.mark.e2e
DEADLOCK = "sqlalchemy.exc.OperationalError: (psycopg.errors.DeadlockDetected) deadlock detected"
WRAPPED = (
    "sqlalchemy.exc.InternalError: (psycopg.errors.InFailedSqlTransaction) current transaction is aborted"
)


def traceback_of(error: str) -> str:
    return f'{BEGINS}\n  File "some.py", line 1, in some\n    some()\n{error}\n'


def test_what_a_server_that_is_away_makes_is_explained() -> None:
    for error in (
        "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed",
        "psycopg.errors.AdminShutdown: terminating connection",
        "sqlalchemy.exc.InternalError: (psycopg.errors.IdleInTransactionSessionTimeout) terminating",
        "redis.exceptions.ConnectionError: Error 111",
        "taskapi.core.errors.OutcomeUnknown",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
    ):
        line = json.dumps({"event": "it.failed", "exception": traceback_of(error)})
        assert list(unexplained_errors(f"{line}\n{traceback_of(error)}")) == []


def test_any_other_error_is_found_in_a_field_in_a_message_and_by_itself() -> None:
    for error in (
        "KeyError: 'run'",
        "sqlalchemy.exc.IntegrityError: twice",
        "AssertionError",
        WRAPPED,
        DEADLOCK,
    ):
        text = traceback_of(error)
        for line in (json.dumps({"exception": text}), json.dumps({"event": f"job: {text}"}), text):
            (found,) = unexplained_errors(
                f'{{"event": "run.ended", "level": "info"}}\n{line}\nStarting again'
            )
            assert error in found


def test_a_warning_is_found_unless_somebody_who_was_killed_or_away_explains_it() -> None:
    def found(event: str, level: str = "warning", **more: str | int) -> bool:
        return list(unexplained_errors(json.dumps({"event": event, "level": level, **more}))) != []

    assert not found("run.lost_its_worker")
    assert not found("Work horse killed for job run-1: retpid=3, ret_val=9")
    assert not found("run.something_new", "info")
    assert found("run.something_new")
    assert found("storage.disk_failed")
    assert found("Work horse killed for job run-1: retpid=3, ret_val=11")
    assert not found("dispatch.batch_failed", error="OperationalError: the database refused it")
    assert not found("dispatch.batch_failed", error="OutcomeUnknown: nobody knows")
    # Also one whose name does not say that it is an error.
    for error in ("KeyError: 'run'", "IntegrityError: the database refused it", "UnknownAction: gone"):
        assert found("dispatch.batch_failed", error=error)
    assert not found("run.settle_waits", error="OperationalError")
    assert not found("redis.away", error="Error 111 connecting to 127.0.0.1:6379. Connection refused.")
    assert not found("redis.away", error="[Errno 104] Connection reset by peer")
    assert not found("email.postponed", error="421 busy")
    assert not found("database.unavailable", error="(psycopg.errors.AdminShutdown) terminating connection")
    for error in ("IntegrityError", "ProgrammingError"):
        assert found("run.settle_waits", error=error)
    deadlock = "(psycopg.errors.DeadlockDetected) deadlock detected"
    assert found("database.unavailable", error=deadlock)
    assert not found("audit.found", overdue=5, set_aside=0)
    assert found("audit.found", overdue=5, set_aside=1)


def test_an_error_of_the_machine_is_judged_by_its_number() -> None:
    def found(error: str, *, disk_was_full: bool) -> bool:
        line = json.dumps({"event": "it.failed", "exception": traceback_of(error)})
        return list(unexplained_errors(line, disk_was_full=disk_was_full)) != []

    for number, of_the_disk, of_neither in ((104, False, False), (27, False, True), (24, True, True)):
        assert found(f"OSError: [Errno {number}] so it is", disk_was_full=True) is of_the_disk
        assert found(f"OSError: [Errno {number}] so it is", disk_was_full=False) is of_neither
    assert found("OSError: something", disk_was_full=True)


def test_what_was_not_hurt_explains_nothing() -> None:
    away = "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed"
    for told, is_found in (
        ({"event": "it.failed", "exception": traceback_of(away)}, True),
        ({"event": "it.failed", "exception": traceback_of("redis.exceptions.ConnectionError: 111")}, False),
        ({"event": "database.waited_for"}, True),
        ({"event": "run.lost_its_worker"}, True),
        ({"event": "redis.away"}, False),
    ):
        line = json.dumps({"level": "warning", **told})
        assert bool(list(unexplained_errors(line, killed=False, database_was_hurt=False))) is is_found


def test_what_was_warned_of_is_told() -> None:
    lines = [json.dumps({"event": event, "level": level}) for event, level in (("a", "error"), ("b", "info"))]
    assert warned_of("\n".join([*lines, "Starting"])) == {"a"}


def test_an_error_that_another_followed_is_found() -> None:
    chain = f"{traceback_of('KeyError: 1')}\nDuring handling another:\n\n{traceback_of('BrokenPipeError')}"
    assert len(list(unexplained_errors(json.dumps({"exception": chain})))) == 1
