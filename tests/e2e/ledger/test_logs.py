"""Errors in the log are found wherever they stand, unless a server that is away explains them."""

import json
from typing import Any

import pytest

from tests.e2e.ledger.around import hurt_around
from tests.e2e.ledger.faults import Fault
from tests.e2e.ledger.logs import BEGINS, unexplained_by, unexplained_errors, warned_of
from tests.e2e.ledger.made_up import at, fault

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


def test_whoever_keeps_all_connections_is_no_slow_socket() -> None:
    def found(event: str, error: str) -> bool:
        line = json.dumps({"event": event, "level": "warning", "error": error})
        return list(unexplained_errors(line)) != []

    pool = "QueuePool limit of size 15 overflow 5 reached, connection timed out, timeout 30.00"
    of_database = ("run.settle_waits", "database.waited_for", "lease.beat_failed", "schedule.completed_later")
    for event in (*of_database, "run.outcome_left_to_scheduler"):
        assert found(event, "TimeoutError")
        assert not found(event, "OperationalError")
        # Who was stopped comes back to a transaction that is over.
        assert not found(event, "psycopg.errors.IdleInTransactionSessionTimeout")
        assert not found(event, "taskapi.core.errors.OutcomeUnknown")
        assert found(event, "psycopg.errors.UniqueViolation")
        assert found(event, "sqlalchemy.exc.TimeoutError")
    for event in ("database.unavailable", "metrics.database_away", "redis.away"):
        assert found(event, pool)
    for error, is_found in (("TimeoutError: timed out", False), (f"TimeoutError: {pool}", True)):
        assert found("email.postponed", error) is is_found
    assert list(unexplained_errors(traceback_of(f"sqlalchemy.exc.TimeoutError: {pool}"))) != []


DEAD = {"event": "run.lost_its_worker"}
AWAY = {"event": "it.failed", "exception": traceback_of("psycopg.OperationalError: connection failed")}
NO_REDIS = {"event": "redis.away", "error": "Error 111 connecting"}
POSTPONED = {"event": "email.postponed", "error": "451 Try again later"}
BROKEN = {"event": "it.failed", "exception": traceback_of("BrokenPipeError: [Errno 32] Broken pipe")}
AUDIT = {"event": "audit.found", "overdue": 5}


def is_found_at(told: dict[str, Any], seconds: float, *faults: Fault) -> bool:
    line = json.dumps({"level": "warning", "timestamp": at(seconds).isoformat(), **told})
    return list(unexplained_by(line, hurt_around(faults))) != []


@pytest.mark.parametrize(
    ("told", "kind", "longest"),
    [
        *((DEAD, kind, 30) for kind in ("worker killed", "work-horse stopped", "web child killed")),
        *((AWAY, kind, 15) for kind in ("PostgreSQL killed", "connections cut")),
        *((NO_REDIS, kind, 15) for kind in ("Redis killed", "Redis hangs", "Redis away", "Redis flushed")),
        *((POSTPONED, kind, 15) for kind in ("mail refused", "mail server away")),
        (BROKEN, "Redis killed", 15),
        (BROKEN, "schedulers away", 30),
    ],
)
def test_a_fault_explains_what_is_logged_from_its_beginning_until_shortly_after_its_end(
    told: dict[str, Any], kind: str, longest: float
) -> None:
    done = fault(kind, 0, ended=5)
    for seconds, is_found in ((-2, True), (0, False), (5 + longest, False), (6 + longest, True)):
        assert is_found_at(told, seconds, done) is is_found
    assert is_found_at(told, 3)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (DEAD, "Redis killed"),
        (AWAY, "worker killed"),
        (NO_REDIS, "PostgreSQL killed"),
        (POSTPONED, "web killed"),
    ],
)
def test_a_fault_of_somebody_else_explains_nothing(told: dict[str, Any], kind: str) -> None:
    assert is_found_at(told, 1, fault(kind, 0, ended=5))


def test_who_was_stopped_meets_later_what_was_done_meanwhile() -> None:
    stopped, cut = fault("worker stopped", 0, ended=40), fault("connections cut", 3)
    assert is_found_at(AWAY, 41, cut)
    assert not is_found_at(AWAY, 54, stopped, cut)
    # And a database that did not wait for it.
    assert not is_found_at(AWAY, 69, stopped)
    assert is_found_at(AWAY, 71, stopped, cut)


def test_what_is_late_after_all_that_was_is_explained_by_that_alone() -> None:
    assert not is_found_at(AUDIT, 100, fault("worker killed", 0))
    assert is_found_at(AUDIT, 100)


def test_what_has_no_time_is_judged_by_all_that_was_hurt() -> None:
    text = traceback_of("redis.exceptions.ConnectionError: Error 111")
    assert list(unexplained_by(text, hurt_around([fault("Redis killed", 0)]))) == []
    assert list(unexplained_by(text, hurt_around([fault("PostgreSQL killed", 0)]))) != []


def test_what_was_warned_of_is_told() -> None:
    lines = [json.dumps({"event": event, "level": level}) for event, level in (("a", "error"), ("b", "info"))]
    assert warned_of("\n".join([*lines, "Starting"])) == {"a"}


def test_an_error_that_another_followed_is_found() -> None:
    chain = f"{traceback_of('KeyError: 1')}\nDuring handling another:\n\n{traceback_of('BrokenPipeError')}"
    assert len(list(unexplained_errors(json.dumps({"exception": chain})))) == 1
