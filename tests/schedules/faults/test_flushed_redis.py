"""Redis has forgotten a worker, which takes a job, and is lost again before it is told who works there."""

import pytest

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.processes import Worker
from tests.schedules.faults.scenario import NEVER, PROBE
from tests.schedules.faults.struck import Fault, Kind, Mode
from tests.schedules.making import make


@pytest.mark.one_database
@pytest.mark.parametrize("mode", [Mode.FAIL_BEFORE, Mode.HANG])
def test_the_job_that_it_took_is_done(fresh: Fresh, mode: Mode) -> None:
    world = fresh()
    worker = Worker(world.app, Queue.RUNS)
    # Once without a fault: Redis knows the script then.
    worker.work()
    schedule = make(world.owner, notify=[], **NEVER, **PROBE)
    with world.app.app_context():
        redis_client().flushdb()
    run_id = world.owner.post(f"/api/schedules/{schedule['id']}/run").json["id"]
    # The first step takes it.
    with world.outside.played(Fault(2, mode)) as played:
        worker.work()
    worker.leave()
    assert played.struck is Kind.REDIS
    assert world.owner.get(f"/api/runs/{run_id}").json["status"] == "completed"
    with world.app.app_context():
        assert redis_client().zcard("rq:wip:runs") == 0
