"""Jobs of the schedules room, called by workers."""

from uuid import UUID

from taskapi.background.worker import current_worker_name
from taskapi.schedules.engine import execution, rescue


def execute_run(run_id: str) -> None:
    """Make one attempt at a run."""
    execution.execute_run(run_id=UUID(run_id), worker=current_worker_name())


def rescue_runs() -> None:
    """Give runs back whose worker died, and queue those again that Redis forgot."""
    rescue.rescue_dead_leases()
    rescue.requeue_forgotten()
