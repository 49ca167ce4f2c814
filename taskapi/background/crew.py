"""The hands of one work-horse, and what becomes of their jobs when it dies: Redis still names them."""

import os
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.utils import now

from taskapi.background.bookkeeping import fetch_current
from taskapi.background.hand import Hand
from taskapi.background.horse import WorkHorse
from taskapi.background.rq_json import JsonJob, JsonQueue

log = structlog.get_logger(__name__)


class Crew:
    """Hands that share a process, and the process that they work in at present.

    Args:
        prepare: called in each process before its hands begin.
    """

    def __init__(self, hands: Sequence[Hand], prepare: Callable[[], None]) -> None:
        self.hands = hands
        self.horse: WorkHorse | None = None
        self._prepare = prepare
        for place, hand in enumerate(hands):
            hand.place, hand.turn = place, hands[0].turn

    def begin(self, burst: bool) -> None:
        """Fork a process, in which all hands begin to work."""
        self.horse = WorkHorse([partial(hand.labour, burst=burst) for hand in self.hands], self._prepare)
        for hand in self.hands:
            hand.horse = self.horse

    def settle(self) -> bool:
        """After the end of the process close the books on the jobs it had; whether there were any.

        Raises:
            RedisError
        """
        horse = self.horse
        if horse is None:
            return False
        had_jobs = [_settle(hand, horse) for hand in self.hands]
        if not (horse.is_done or horse.is_spent):
            for hand in self.hands:
                hand.have_runs_taken_back(horse.pid)
        return any(had_jobs)


def _settle(hand: Hand, horse: WorkHorse) -> bool:
    """Close the books on the job that a dead process had in this hand; whether it had one.

    The job failed, as if it had raised, or was stopped. One that its process was not killed for goes
    back to where it came from: jobs survive being run twice.

    Raises:
        RedisError
    """
    current = fetch_current(hand.connection, hand.key)
    if current is None:
        return False
    job_id, execution_id, queue_name = current
    queue = JsonQueue(queue_name, connection=hand.connection)
    hand.execution = Execution(execution_id, job_id, hand.connection, hand.name)
    try:
        job = JsonJob.fetch(job_id, connection=hand.connection)
    except (NoSuchJobError, ValueError):
        # Nobody can read it, so nobody can do it.
        _forget(hand, job_id, queue)
        return True
    if horse.victims and job_id not in horse.victims:
        _give_back(hand, job, queue)
    else:
        _give_up(hand, job, queue, horse)
    return True


def _forget(hand: Hand, job_id: str, queue: JsonQueue) -> None:
    job = JsonJob(job_id, hand.connection)
    job.origin = queue.name
    with hand.connection.pipeline() as pipeline:
        hand.cleanup_execution(job, pipeline)
        pipeline.execute()
    log.warning("worker.unreadable_job", job_id=job_id)


def _give_back(hand: Hand, job: Job, queue: JsonQueue) -> None:
    with hand.connection.pipeline() as pipeline:
        job.set_status(JobStatus.QUEUED, pipeline=pipeline)
        hand.cleanup_execution(job, pipeline)
        queue.push_job_id(job.id, pipeline=pipeline, at_front=True)
        pipeline.execute()


def _give_up(hand: Hand, job: Job, queue: JsonQueue, horse: WorkHorse) -> None:
    job.ended_at = now()
    if job.id in horse.victims and hand.is_stopping(job.id):
        reason = "Job stopped by user, work-horse terminated."
        job.execute_stopped_callback(hand.death_penalty_class)
    elif horse.is_done or horse.is_spent:
        # Redis was away when it should have been told, or the job itself ended the process.
        reason = "Its process left, and Redis was not told how the job ended."
    else:
        status = horse.status or 0
        by_signal = f" (signal {os.WTERMSIG(status)})" if os.WIFSIGNALED(status) else ""
        reason = f"Work-horse terminated unexpectedly; waitpid returned {status}{by_signal}; "
        hand.handle_work_horse_killed(job, horse.pid, status, None)  # type: ignore[no-untyped-call]
    log.warning("worker.lost_job", job_id=job.id, reason=reason)
    hand.handle_job_failure(job, queue=queue, exc_string=reason)
