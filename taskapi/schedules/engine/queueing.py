"""The one way of runs to the workers: into the ledger, through their owner's window, onto Redis."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from taskapi.background.connection import SILENCE_SECONDS, ask_redis
from taskapi.background.enqueue import JobCall, enqueue_all
from taskapi.background.names import EXECUTE_RUN, Queue
from taskapi.background.registered import has_threads_for_runs
from taskapi.core.db import on_commit, once_on_commit, read_database_clock, session, transaction
from taskapi.core.upserts import insert_new
from taskapi.schedules.actions import registry
from taskapi.schedules.engine import admission, claims, counts, due
from taskapi.schedules.engine.beside import Beside
from taskapi.schedules.engine.meters import meter_ends
from taskapi.schedules.engine.waiting import let_row_wait, let_run_wait
from taskapi.schedules.models import Run, job_id_of

# Bounds one transaction of releasing held runs.
RELEASE_BATCH = 200
# RQ's own limit on the job is a net below ours, for an action that blocks our signal. While the database
# is away the end of the last run and the claim of this one are waited for within it.
JOB_TIMEOUT_MARGIN_SECONDS = 60
# A run's id, its job's id, its time limit in seconds and its action.
Call = tuple[str, str, float, str]
# The columns of a run that is to be; its id is a UUID, or the text of one.
Row = dict[str, Any]
RunId = TypeVar("RunId", UUID, str)

# Where runs of a queue go that are worked on in threads.
_THREADED = {Queue.RUNS: Queue.CALLS, Queue.RUNS_BULK: Queue.CALLS_BULK}

_beside = Beside()


def insert_runs(rows: Sequence[dict[str, Any]]) -> set[UUID]:
    """Insert rows of runs and queue those that are due now; the ids inserted.

    A due time whose run exists already, as after restoring an old backup, keeps that run. The
    schedules are locked by the caller.
    """
    waiting = [row for row in rows if row["queued_at"] is not None and let_row_wait(row)]
    others = [row for row in rows if "signal_by" not in row]
    inserted = insert_due(others, partial(insert_new, Run)) | insert_new(Run, waiting)
    counts.count_ended((row["schedule_id"], row["status"]) for row in rows if row["id"] in inserted)
    meter_ends((row["action"], row["status"]) for row in rows if row["id"] in inserted)
    return inserted


def insert_due(
    rows: Sequence[Row], insert: Callable[[Sequence[Row]], set[RunId]], *, beside: bool = False
) -> set[RunId]:
    """Admit rows that wait for no signal, insert them by ``insert``, queue them; the ids inserted.

    Args:
        beside: Redis is told while the caller goes on, as far as it does not ``wait_for_hand_over``.
    """
    admitted = _admit_rows([row for row in rows if row["queued_at"] is not None])
    if any(map(_is_held, rows)):
        # Its window may only have been busy: the scheduler looks at once.
        once_on_commit(admission.wake)
    inserted = insert(rows)
    if len(inserted) < len(rows):
        admitted = [(queue, row) for queue, row in admitted if row["id"] in inserted]
    _queue_after_commit([(queue, _first_call(row)) for queue, row in admitted], beside=beside)
    return inserted


def _is_held(row: dict[str, Any]) -> bool:
    return row["status"] == "pending" and row["queued_at"] is None and not row["waits_for_turn"]


def _admit_rows(rows: Sequence[Row]) -> list[tuple[Queue, Row]]:
    """The queues of rows that are to be queued; those that are held lose their ``queued_at``."""
    if not rows:
        return []
    lanes = admission.admit(Counter(row["owner_id"] for row in rows))
    admitted = []
    for row in rows:
        if queue := next(lanes[row["owner_id"]], None):
            admitted.append((queue, row))
        else:
            row["queued_at"] = None
    return admitted


def _first_call(row: Row) -> Call:
    run_id = str(row["id"])
    return run_id, job_id_of(run_id, 0), row["timeout"], row["action"]


def queue_runs(runs: Sequence[Run], *, held: bool = False) -> None:
    """Queue pending runs, or hold them; the caller has locked them.

    Args:
        held: they are the ones that were held; others stay behind those.
    """
    if not runs:
        return
    now = read_database_clock()
    to_queue = [run for run in runs if not let_run_wait(run, since=now)]
    lanes = admission.admit(Counter(run.owner_id for run in to_queue), held=held)
    calls = []
    for run in to_queue:
        queue = next(lanes[run.owner_id], None)
        run.retry_at, run.queued_at = None, now if queue else None
        if queue:
            calls.append((queue, _call(run)))
    session().flush()
    _queue_after_commit(calls)


def requeue_runs(runs: Sequence[Run]) -> None:
    """Queue runs again that are in flight, but lost by Redis or their worker; the caller has locked them."""
    now = read_database_clock()
    seen: Counter[UUID] = Counter()
    calls = []
    for run in runs:
        run.retry_at, run.queued_at = None, now
        calls.append((admission.lane(seen[run.owner_id]), _call(run)))
        seen[run.owner_id] += 1
    session().flush()
    _queue_after_commit(calls)


def release_held() -> tuple[int, bool]:
    """Queue held runs whose owners' windows have room; how many, and whether any run was held at all."""
    # Looking takes no write lock, which SQLite has only one of.
    able, some_held = admission.held_runs_with_room(RELEASE_BATCH)
    session().rollback()
    if not able:
        return 0, some_held
    with transaction():
        runs = [run for owner, count in able.items() for run in admission.claim_held(owner, count)]
        queue_runs(runs, held=True)
        return sum(run.queued_at is not None for run in runs), True


def queue_retries(limit: int) -> int:
    """Queue runs whose pause is over; how many there were."""
    with transaction():
        runs = due.claim_due_retries(limit)
        queue_runs(runs)
        return len(runs)


def _call(run: Run) -> Call:
    return str(run.id), run.job_id, run.timeout, run.action


def wait_for_hand_over() -> None:
    """Return once all runs that are handed over beside this are."""
    _beside.wait()


def _queue_after_commit(calls: Sequence[tuple[Queue, Call]], *, beside: bool = False) -> None:
    """Hand runs to the workers once they are committed, in one round trip."""
    by_queue: dict[Queue, list[Call]] = {}
    for queue, call in calls:
        by_queue.setdefault(queue, []).append(call)
    if by_queue:
        on_commit(_hand_over_beside if beside else _hand_over_in_turn, by_queue)


def _hand_over_in_turn(by_queue: dict[Queue, list[Call]]) -> None:
    try:
        wait_for_hand_over()
    finally:
        _hand_over(by_queue)


def _hand_over_beside(by_queue: dict[Queue, list[Call]]) -> None:
    _beside.do(_hand_over, by_queue)


def _hand_over(by_queue: dict[Queue, list[Call]]) -> None:
    routed = _for_threads(by_queue)
    if not enqueue_all({queue: [_job(*call) for call in calls] for queue, calls in routed.items()}):
        # Redis is away: the scheduler tries again by itself.
        with transaction():
            put_off = [UUID(run_id) for calls in by_queue.values() for run_id, *_ in calls]
            claims.put_off(put_off, seconds=SILENCE_SECONDS)


def _for_threads(by_queue: dict[Queue, list[Call]]) -> dict[Queue, list[Call]]:
    """With what threads may do in queues of its own, if a worker has threads for it."""
    if not any(registry.is_threaded(action) for calls in by_queue.values() for *_, action in calls):
        return by_queue
    if not ask_redis(has_threads_for_runs):
        return by_queue
    routed: dict[Queue, list[Call]] = {}
    for queue, calls in by_queue.items():
        for call in calls:
            routed.setdefault(_THREADED[queue] if registry.is_threaded(call[3]) else queue, []).append(call)
    return routed


def _job(run_id: str, job_id: str, timeout: float, _action: str) -> JobCall:
    seconds = int(timeout) + JOB_TIMEOUT_MARGIN_SECONDS
    return JobCall(name=EXECUTE_RUN, args=[run_id], job_id=job_id, timeout=seconds)
