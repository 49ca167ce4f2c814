"""Jobs of the schedules room, called by workers."""

from uuid import UUID

from taskapi.background.worker import current_worker_name
from taskapi.schedules import retention
from taskapi.schedules.engine import execution, rescue, turns


def execute_run(run_id: str) -> None:
    """Make one attempt at a run."""
    execution.execute_run(run_id=UUID(run_id), worker=current_worker_name())


def rescue_runs() -> None:
    """Give runs back whose worker died, queue those again that Redis forgot, hand on lost turns."""
    rescue.rescue_dead_leases()
    rescue.requeue_forgotten()
    rescue.complete_exhausted()
    turns.hand_on_lost_turns()


def take_back_runs(process: str) -> None:
    """Give back what a process that is gone was doing, and what it had not written yet."""
    rescue.rescue_runs_of(process)


def forget_old_runs() -> None:
    """Delete runs that need not be kept any more."""
    retention.forget_old_runs()
