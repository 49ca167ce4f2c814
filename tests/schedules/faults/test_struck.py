"""What is raised where nothing went wrong, or is not what the fault may cause, fails whatever is played."""

from collections.abc import Callable

import pytest
from redis.exceptions import ConnectionError as Disconnected

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.schedules.engine import execution, finishing
from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.processes import Scheduler, Worker
from tests.schedules.faults.scenario import NEVER, PROBE, World
from tests.schedules.faults.struck import Fault, Kind, Mode
from tests.schedules.making import make

pytestmark = pytest.mark.one_database


def forget_a_key() -> None:
    """A fault of ours."""
    raise KeyError("forgotten")


def ask_redis() -> None:
    redis_client().ping()


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
def test_a_fault_excuses_what_it_causes(world: World, mode: Mode) -> None:
    assert play(world, ask_redis, fault=Fault(1, mode)) is Kind.REDIS


def test_a_fault_excuses_nothing_else(world: World) -> None:
    def ask_and_forget() -> None:
        try:
            ask_redis()
        except Disconnected:
            forget_a_key()

    with pytest.raises(KeyError, match="forgotten"):
        play(world, ask_and_forget, fault=Fault(1, Mode.FAIL_BEFORE))


def test_a_server_that_nothing_happened_to_is_no_excuse(world: World) -> None:
    def lose_redis() -> None:
        raise Disconnected

    with pytest.raises(Disconnected):
        play(world, lose_redis)


def test_an_error_of_a_job_comes_out_though_its_worker_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(world.owner, notify=[], **NEVER, **PROBE)
    world.owner.post(f"/api/schedules/{schedule['id']}/run")
    monkeypatch.setattr(finishing, "claim", lambda *_args, **_named: forget_a_key())
    worker = Worker(world.app, Queue.RUNS)
    with pytest.raises(KeyError, match="forgotten"), world.outside.played():
        worker.work()
    worker.leave()


def test_an_error_of_ours_in_an_action_comes_out_though_its_run_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make(world.owner, notify=[], **NEVER, **PROBE)
    world.owner.post(f"/api/schedules/{schedule['id']}/run")
    monkeypatch.setattr(execution, "check_owner", lambda *_args, **_named: forget_a_key())
    worker = Worker(world.app, Queue.RUNS)
    with pytest.raises(KeyError, match="forgotten"), world.outside.played():
        worker.work()
    worker.leave()
