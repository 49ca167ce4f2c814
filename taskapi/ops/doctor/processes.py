"""Workers and schedulers are alive, and what is due is being done."""

from taskapi.background.names import Queue
from taskapi.background.queues import queue_figures
from taskapi.core.heartbeats import scheduler_last_seen
from taskapi.ops.doctor.findings import Finding, fail, ok, warn
from taskapi.ops.service import SCHEDULER_SILENT_AFTER_SECONDS
from taskapi.schedules.health import find_faults

MORE_WORKERS = "start more workers, and read their logs"
# By the name of what ought not to be: what it is in words, whether it is a failure, and what to do.
FAULTS = {
    "overdue": ("schedules overdue", True, "start a scheduler, and read its log"),
    "unstarted": ("runs that no worker begins", True, "start more workers, or these again if they hang"),
    "dead_leases": ("runs whose worker died and that nobody gave back", True, MORE_WORKERS),
    "queued_long": ("runs waiting for a worker for more than a minute", False, MORE_WORKERS),
    "set_aside": ("schedules set aside", False, "read their 'fault'; they are tried again by themselves"),
    "without_next_time": ("active schedules without a next time", False, "pause and resume them"),
}


def look_at_scheduler() -> Finding:
    """One at least has shown a sign of life."""
    seen_at, now = scheduler_last_seen()
    if seen_at is None:
        return fail("none has ever run", "start 'flask scheduler', or 'flask up'")
    silent = (now - seen_at).total_seconds()
    if silent > SCHEDULER_SILENT_AFTER_SECONDS:
        return fail(f"silent for {silent:.0f} s", "start 'flask scheduler': due times wait for it")
    return ok(f"last sign of life {silent:.0f} s ago")


def look_at_workers() -> Finding:
    """Each queue has one that takes its jobs."""
    figures = queue_figures()
    if figures is None:
        return fail("Redis does not say who works", "see what is said of Redis")
    served = {figure.name for figure in figures if figure.workers}
    left_alone = [queue for queue in Queue if queue not in served]
    if not served:
        return fail("none is running", "start 'flask worker', or 'flask up'")
    if left_alone:
        return fail(f"nobody works on {', '.join(left_alone)}", "restart all workers with this version")
    waiting = sum(figure.queued for figure in figures)
    return ok(f"at work on each of {len(served)} queues; {waiting} jobs wait")


def look_at_work() -> Finding:
    """Nothing that is due is left undone."""
    found = [(FAULTS[name], count) for name, count in find_faults().items() if count]
    if not found:
        return ok("nothing is overdue")
    detail = ", ".join(f"{count} {words}" for (words, _, _), count in found)
    advice = "; ".join(dict.fromkeys(advice for (_, _, advice), _ in found))
    fails = any(is_failure for (_, is_failure, _), _ in found)
    return fail(detail, advice) if fails else warn(detail, advice)
