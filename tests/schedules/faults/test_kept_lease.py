"""Whatever goes wrong while a lease is kept, its run survives or is given back; it is never doubled."""

from itertools import product
from typing import Any

import pytest

from taskapi.background.names import Queue
from taskapi.core.db import session
from taskapi.schedules.engine.rescue import rescue_dead_leases
from taskapi.schedules.models import Run
from tests.schedules.faults.attempts import Attempt
from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.processes import Worker
from tests.schedules.faults.scenario import BEAT, NEVER, PROBE, World
from tests.schedules.faults.struck import Fault, Mode
from tests.schedules.making import make
from tests.work import dispatch_all

# To look whether the run is to be stopped, to renew its lease and to commit that.
LEAST = 3
MODES = (Mode.FAIL_BEFORE, Mode.DO_THEN_FAIL, Mode.HANG)


@pytest.fixture
def world(fresh: Fresh) -> World:
    return fresh()


@pytest.fixture
def attempt(world: World) -> Attempt:
    """A worker has taken a run, and is at work."""
    world.probe.behave = lambda context: {"attempt": context.attempt}
    schedule = make(world.owner, notify=[], **NEVER, **PROBE)
    world.owner.post(f"/api/schedules/{schedule['id']}/run")
    begun = Attempt.begin(Worker(world.app, Queue.RUNS))
    assert begun is not None
    return begun


def beat(world: World, attempt: Attempt, fault: Fault | None = None) -> tuple[bool, int]:
    """Some seconds later; whether the run is its own still, and in how many steps that was found out."""
    world.time.pass_(seconds=BEAT)
    with world.outside.played(fault) as played:
        is_kept = attempt.beat()
    assert not played.has_died
    assert fault is None or played.struck is not None
    return is_kept, len(played.steps)


def rescue(world: World) -> int:
    with world.app.app_context():
        return rescue_dead_leases()


def end(world: World, attempt: Attempt) -> tuple[str, Any, int]:
    """How the run stands when the attempt has told of itself; how often it was lost."""
    attempt.end()
    attempt.worker.leave()
    with world.app.app_context():
        run = session().get_one(Run, attempt.context.run_id)
        return run.status, run.result, run.lost_attempts


def test_a_run_survives_beats_that_fail_now_and_then(world: World, attempt: Attempt) -> None:
    is_kept, steps = beat(world, attempt)
    assert is_kept
    assert steps >= LEAST
    for step, mode in product(range(1, steps + 1), MODES):
        assert beat(world, attempt, Fault(step, mode))[0]
        assert beat(world, attempt) == (True, steps)
        assert rescue(world) == 0
    assert end(world, attempt) == ("completed", {"attempt": 1}, 0)


@pytest.mark.parametrize("mode", [Mode.FAIL_BEFORE, Mode.HANG])
def test_a_run_whose_beats_fail_for_long_is_given_back_and_not_doubled(
    world: World, attempt: Attempt, mode: Mode
) -> None:
    for _ in range(4):
        assert rescue(world) == 0
        assert beat(world, attempt, Fault(1, mode))[0]
    assert rescue(world) == 1
    assert not beat(world, attempt)[0]
    with world.app.app_context():
        dispatch_all()
    other = Attempt.begin(Worker(world.app, Queue.RUNS))
    assert other is not None
    assert end(world, other) == ("completed", {"attempt": 2}, 1)
    assert end(world, attempt) == ("completed", {"attempt": 2}, 1)
