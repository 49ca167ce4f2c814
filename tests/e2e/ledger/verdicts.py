"""Which verdict a due time may have, by its schedule's policy and by what happened beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from tests.e2e.ledger.plans import is_hopeless

# Later than so much a due time is one that was missed.
MISSED = timedelta(seconds=60)
# How a call fails that is refused.
REFUSED = "http_503"
# The moments of a row are those at which its transactions began.
SLACK, MOMENT = timedelta(seconds=5), timedelta(seconds=0.9)


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the ledger."""

    id: str
    schedule: str
    scheduled_for: datetime
    due_at: datetime
    status: str
    reason: str | None
    trigger: str
    action: str
    attempt: int
    lost_attempts: int
    created_at: datetime
    queued_at: datetime | None
    first_started_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, Any] | None

    @property
    def made_after(self) -> float:
        """Seconds from the moment at which it was due to its row."""
        return (self.created_at - self.due_at).total_seconds()

    @property
    def began_after(self) -> float | None:
        """Seconds from the moment at which it was due to its first attempt."""
        begun = self.first_started_at
        return (begun - self.due_at).total_seconds() if begun else None

    def is_open_at(self, moment: datetime) -> bool:
        """Whether it was there by then, and had not ended."""
        if was_ended_from_the_first(self):
            return False
        return self.created_at <= moment and (self.finished_at is None or self.finished_at > moment)


def was_ended_from_the_first(run: Run) -> bool:
    """Whether it was made as one that is skipped or replaced already: nobody ever could work on it."""
    return run.status in ("skipped", "cancelled") and run.finished_at == run.created_at


def may_end_so(run: Run, body: Mapping[str, Any], beside: Iterable[Run]) -> bool:
    """Whether the schedule asks for this verdict, and what it says was so.

    Args:
        beside: all runs of its schedule.
    """
    match run.status, run.reason:
        case "completed", None:
            return not is_hopeless(body) and _may_be_done(run, body, list(beside))
        case "failed", None:
            return is_hopeless(body) and _was_refused(run, body) and _may_be_done(run, body, list(beside))
        case "skipped", _ if run.first_started_at is not None:
            return False
        case "skipped", "too_late":
            return "start_deadline" in body and _came_too_late(run, float(body["start_deadline"]))
        case "skipped", "catch_up":
            return _may_have_been_missed(run) and _may_be_left_out(run, body["catch_up"], beside)
        case "skipped", "overlap":
            return body["overlap"] == "skip" and any(_was_open(other, run.created_at) for other in beside)
        case "cancelled", "overlap":
            return body["overlap"] == "replace" and any(_replaces(other, run) for other in beside)
    return False


def attempts_of(body: Mapping[str, Any]) -> int:
    """How many may fail, or succeed; what was lost does not count."""
    return int(body.get("retry", {}).get("max_attempts", 1))


def _was_refused(run: Run, body: Mapping[str, Any]) -> bool:
    """Whether all of its attempts are used up, by who it called."""
    is_used_up = run.attempt - run.lost_attempts == attempts_of(body)
    return is_used_up and (run.error or {}).get("code") == REFUSED


def _may_be_done(run: Run, body: Mapping[str, Any], beside: Sequence[Run]) -> bool:
    """Whether it was begun in time, not too often, alone where that is asked for, and only if it may be."""
    if run.attempt - run.lost_attempts > attempts_of(body):
        return False
    deadline = body.get("start_deadline")
    if deadline is not None and (run.began_after or 0.0) > float(deadline):
        return False
    if body["overlap"] != "allow" and any(_were_at_work_together(run, other) for other in beside):
        return False
    return not _was_missed(run) or _may_be_made_up_for(run, body["catch_up"], beside)


def _were_at_work_together(run: Run, other: Run) -> bool:
    if other.id == run.id or run.first_started_at is None or other.first_started_at is None:
        return False
    never = datetime.max.replace(tzinfo=UTC)
    begins_before_its_end = run.first_started_at < (other.finished_at or never)
    return begins_before_its_end and other.first_started_at < (run.finished_at or never)


def _was_missed(run: Run) -> bool:
    return run.created_at - run.scheduled_for > MISSED + SLACK


def _may_have_been_missed(run: Run) -> bool:
    return run.created_at - run.scheduled_for > MISSED - SLACK


def _may_be_left_out(run: Run, catch_up: str, beside: Iterable[Run]) -> bool:
    """All missed ones are, or those after which a later one was made up for."""
    if catch_up != "latest":
        return catch_up == "skip"
    later = sorted(
        (other for other in beside if other.scheduled_for > run.scheduled_for),
        key=attrgetter("scheduled_for"),
    )
    others = (other for other in later if (other.status, other.reason) != ("skipped", "catch_up"))
    first = next(others, None)
    return first is not None and first.created_at >= run.created_at and _was_let_come(first)


def _was_let_come(run: Run) -> bool:
    """Whether it was made up for, though it may have met another by then."""
    was_missed = run.trigger == "catch_up" and _may_have_been_missed(run)
    return was_missed and (not was_ended_from_the_first(run) or run.reason == "overlap")


def _may_be_made_up_for(run: Run, catch_up: str, beside: Iterable[Run]) -> bool:
    """All missed ones are, or none, or of those that were seen at once the latest."""
    if catch_up != "latest":
        return catch_up == "all"
    seen_at_once = (other for other in beside if other.created_at == run.created_at)
    return all(other.scheduled_for <= run.scheduled_for for other in seen_at_once if _was_missed(other))


def _replaces(later: Run, run: Run) -> bool:
    """Whether it came after this one, and while this one was there."""
    ended = run.finished_at
    is_later = later.scheduled_for > run.scheduled_for and later.created_at >= run.created_at - MOMENT
    return is_later and ended is not None and later.created_at <= ended + MOMENT


def _came_too_late(run: Run, deadline: float) -> bool:
    ended = run.finished_at
    return ended is not None and (ended - run.due_at).total_seconds() >= deadline


def _was_open(run: Run, moment: datetime) -> bool:
    # One that was skipped later, as nobody had begun it in time, was open until then.
    if was_ended_from_the_first(run):
        return False
    ended = run.finished_at
    return run.created_at <= moment and (ended is None or ended > moment - SLACK)
