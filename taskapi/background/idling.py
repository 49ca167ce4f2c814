"""What a work-horse does between jobs: the steps to take before it waits for work or leaves."""

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

Step = Callable[[], object]

_steps: list[Step] = []


def before_idle(step: Step) -> None:
    """Have ``step`` called, once however often it is named, whenever no further job is there.

    It is called in the work-horse, in the thread and the application context in which jobs run,
    and once more before the process leaves. A kill comes without it: what a step would do must be
    done by somebody else some day.
    """
    if step not in _steps:
        _steps.append(step)


def run_idle_steps() -> None:
    """Take every step; one that raises is logged and keeps none of the others back."""
    for step in _steps:
        try:
            step()
        except Exception:
            log.exception("worker.idle_step_failed", step=getattr(step, "__name__", repr(step)))
