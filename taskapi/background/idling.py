"""What a work-horse does between jobs: the steps to take before it waits for work or leaves."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

Step = Callable[[], object]

# Whether it is taken before another job, too.
_steps: dict[Step, bool] = {}


def before_idle(step: Step, *, or_another_job: bool = False) -> None:
    """Have ``step`` called, once however often it is named, whenever no further job is there.

    It is called in the work-horse, in the thread and the application context in which jobs run,
    and once more before the process leaves. A kill comes without it: what a step would do must be
    done by somebody else some day.

    Args:
        or_another_job: also before a job that is no run, for which what waits would have to wait.
    """
    _steps[step] = or_another_job


def run_idle_steps(*, another_job: bool = False) -> None:
    """Take every step, or those before another job; one that raises is logged and keeps no other back.

    What would have to wait comes first.
    """
    first = [step for step, or_another_job in _steps.items() if or_another_job]
    others = [] if another_job else [step for step in _steps if step not in first]
    for step in first + others:
        try:
            step()
        except Exception:
            log.exception("worker.idle_step_failed", step=getattr(step, "__name__", repr(step)))
