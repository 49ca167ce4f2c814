"""A run in the hands of a worker for longer than one step of what is played."""

from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from rq.utils import now

from taskapi.background.bookkeeping import Done, Taken
from taskapi.background.idling import run_idle_steps
from taskapi.background.names import EXECUTE_RUN
from taskapi.schedules.actions.base import RunContext
from taskapi.schedules.engine import execution, finishing, lease
from taskapi.schedules.engine.claims import Claim
from taskapi.schedules.engine.journal import Journal
from taskapi.schedules.engine.settling import Ending
from tests.schedules.faults.processes import Worker, keeper


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that a worker works on, or has done, but not told of: in between other things happen.

    Attributes:
        work: what ends with it, the keeping of its lease.
    """

    worker: Worker
    taken: Taken
    context: RunContext
    ending: Ending
    work: ExitStack

    @classmethod
    def begin(cls, worker: Worker) -> "Attempt | None":
        """Take the next job; None if there is none, or if it was no run to begin, and is done."""
        with worker.at_work() as hand:
            taken = hand.books.step(None, wanted=True)
            if not isinstance(taken, Taken):
                return None
            if taken.job.func_name == EXECUTE_RUN:
                claim = finishing.claim(UUID(taken.job.args[0]), worker=hand.name)
                if claim is not None:
                    return cls(worker, taken, *_perform(claim))
                done: Done | None = Done(taken, None, now())
            else:
                done, _ = hand._do(taken)
            hand.books.step(done, wanted=False)
            return None

    def beat(self) -> bool:
        """Have its lease kept for longer; whether it is still its own."""
        with self.worker.at_work():
            return keeper.beat(self.context)

    def end(self) -> None:
        """Tell of it, however late."""
        with self.worker.at_work() as hand:
            self.work.close()
            finishing.end(self.ending)
            hand.books.step(Done(self.taken, None, now()), wanted=False)
            run_idle_steps()

    def lose(self) -> None:
        """Its process is gone."""
        self.work.close()
        self.worker.bury()


def _perform(claim: Claim) -> tuple[RunContext, Ending, ExitStack]:
    """The first part of ``execution.execute_run``; its lease is kept until the last."""
    context = execution._context(claim)
    journal = Journal(context)
    with ExitStack() as kept:
        watch = kept.enter_context(lease.keep_lease(context, journal))
        result, failure = execution._perform(claim, context, watch)
        work = kept.pop_all()
    bound = {"run_id": str(claim.id), "user": str(claim.owner_id)}
    return context, Ending(claim, journal, result, failure, bound), work
