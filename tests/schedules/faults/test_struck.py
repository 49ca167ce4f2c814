"""What is raised where nothing went wrong, or is not what the fault may cause, fails whatever is played."""

import sqlite3
from collections.abc import Callable
from types import ModuleType

import psycopg
import pytest
import sqlalchemy as sa
import structlog
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import session
from taskapi.schedules.engine import execution, finishing
from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.processes import Scheduler, Worker
from tests.schedules.faults.scenario import NEVER, PROBE, World
from tests.schedules.faults.struck import Fault, Kind, Mode, heard
from tests.schedules.making import make

pytestmark = pytest.mark.one_database

log = structlog.get_logger(__name__)


def forget_a_key() -> None:
    """A fault of ours."""
    raise KeyError("forgotten")


def ask_redis() -> None:
    redis_client().ping()


def ask_database() -> None:
    session().execute(sa.text("SELECT 1"))


@pytest.fixture
def world(fresh: Fresh) -> World:
    return fresh()


def play(world: World, *acts: Callable[[], object], fault: Fault | None = None) -> Kind | None:
    """In a loop of the scheduler each; whom the fault has struck."""
    with world.outside.played(fault) as played:
        Scheduler(world.app).do(*acts)
    return played.struck


def test_an_error_without_a_fault_comes_out_though_a_loop_goes_on(world: World) -> None:
    gone_on = list[bool]()
    with pytest.raises(KeyError, match="forgotten"):
        play(world, forget_a_key, lambda: gone_on.append(True))
    assert gone_on == [True]


def test_an_error_without_a_fault_comes_out_though_it_ends_the_process(world: World) -> None:
    with pytest.raises(KeyError, match="forgotten"), world.outside.played():
        forget_a_key()


@pytest.mark.parametrize("mode", [Mode.FAIL_BEFORE, Mode.DO_THEN_FAIL, Mode.HANG, Mode.GONE])
@pytest.mark.parametrize(("ask", "kind"), [(ask_redis, Kind.REDIS), (ask_database, Kind.STATEMENT)])
def test_a_fault_excuses_what_it_causes(
    world: World, ask: Callable[[], None], kind: Kind, mode: Mode
) -> None:
    assert play(world, ask, fault=Fault(1, mode)) is kind


@pytest.mark.one_database("postgresql")
def test_a_server_that_is_gone_takes_no_new_connection(world: World) -> None:
    refused = list[str]()

    def ask_anew() -> None:
        session().rollback()
        with pytest.raises(OperationalError) as raised:
            ask_database()
        refused.append(str(raised.value.orig))

    assert play(world, ask_database, ask_anew, fault=Fault(1, Mode.GONE)) is Kind.STATEMENT
    assert refused == ["connection refused"]


@pytest.mark.parametrize(
    ("ask", "other"),
    [
        (ask_redis, KeyError("forgotten")),
        (ask_redis, ResponseError("wrong number of arguments")),
        (ask_redis, OperationalError("SELECT 1", None, sqlite3.OperationalError("disk I/O error"))),
        (ask_database, KeyError("forgotten")),
        (ask_database, IntegrityError("INSERT", None, sqlite3.IntegrityError("UNIQUE"))),
        (ask_database, ProgrammingError("SELECT", None, psycopg.ProgrammingError("no such column"))),
        (ask_database, sqlite3.IntegrityError("UNIQUE")),
        (ask_database, psycopg.errors.NotNullViolation("null value")),
        (ask_database, Disconnected("Connection closed by server.")),
    ],
    ids=lambda each: each.__name__ if callable(each) else type(each).__name__,
)
def test_a_fault_excuses_nothing_else(world: World, ask: Callable[[], None], other: Exception) -> None:
    def ask_and_raise() -> None:
        try:
            ask()
        except (Disconnected, OperationalError):
            raise other from None

    with pytest.raises(type(other)) as raised:
        play(world, ask_and_raise, fault=Fault(1, Mode.FAIL_BEFORE))
    assert raised.value is other


def test_a_server_that_nothing_happened_to_is_no_excuse(world: World) -> None:
    def lose_redis() -> None:
        raise Disconnected

    with pytest.raises(Disconnected):
        play(world, lose_redis)


@pytest.mark.parametrize(
    ("room", "name"), [(finishing, "claim"), (execution, "check_owner")], ids=["of_its_job", "of_an_action"]
)
def test_an_error_comes_out_though_its_worker_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, room: ModuleType, name: str
) -> None:
    schedule = make(world.owner, notify=[], **NEVER, **PROBE)
    world.owner.post(f"/api/schedules/{schedule['id']}/run")
    monkeypatch.setattr(room, name, lambda *_args, **_named: forget_a_key())
    worker = Worker(world.app, Queue.RUNS)
    with pytest.raises(KeyError, match="forgotten"), world.outside.played():
        worker.work()
    worker.leave()


def test_what_was_in_flight_before_is_nobodys() -> None:
    noted: list[BaseException] = []
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with heard(noted.append):
            log.warning("of another matter")
            try:
                raise KeyError("caught")
            except KeyError:
                log.warning("of this")
    assert [type(error) for error in noted] == [KeyError]
