"""What a schedule promises, counted by plain arithmetic: nothing here knows how taskapi counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from taskapi.schedules.models import Run

# What is handled later than this was missed.
MISSED = timedelta(seconds=60)
SKIPPED, CANCELLED = "skipped", "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants: a due time every ``step`` seconds, one if there is none, for ``span`` seconds."""

    kind: str
    action: str
    step: int
    span: int
    overlap: str
    catch_up: str
    start_deadline: int | None
    max_runs: int | None

    @property
    def most(self) -> int | None:
        """At most so many runs; what is replaced would not count."""
        return None if self.kind == "once" or self.overlap == "replace" else self.max_runs

    def first(self, now: datetime) -> datetime:
        """The first due time, for a cron line the first full minute that its step divides."""
        begin = now.replace(microsecond=0) + timedelta(seconds=2)
        if self.kind != "cron":
            return begin
        minutes, rest = divmod(begin.minute * 60 + begin.second, 60)
        minutes += bool(rest)
        every = self.step // 60
        hour = begin.replace(minute=0, second=0)
        return hour + timedelta(minutes=-(-minutes // every) * every)

    def fields(self, now: datetime) -> dict[str, Any]:
        """As it is sent."""
        begin = now.replace(microsecond=0) + timedelta(seconds=2)
        trigger: dict[str, Any] = {"run_at": begin.isoformat()}
        if self.kind == "every":
            trigger = {"every": self.step}
        elif self.kind == "cron":
            trigger = {"cron": f"*/{self.step // 60} * * * *"}
        if self.kind != "once":
            ends = begin + timedelta(seconds=self.span)
            trigger |= {"starts_at": begin.isoformat(), "ends_at": ends.isoformat(), "max_runs": self.most}
        return {
            **trigger,
            "name": self.kind,
            "action": self.action,
            "params": {"message": "Tea"} if self.action == "reminder" else {},
            "notify": [],
            "retry": {"max_attempts": 3, "delay": 1, "factor": 1, "max_delay": 1},
            "overlap": self.overlap,
            "catch_up": self.catch_up,
            "catch_up_window": 86_400,
            "catch_up_limit": 100,
            "start_deadline": self.start_deadline,
        }


WISHES = st.builds(
    Wish,
    kind=st.sampled_from(("once", "every", "cron")),
    action=st.sampled_from(("probe", "probe", "reminder")),
    step=st.sampled_from((60, 120)),
    span=st.sampled_from((60, 150, 400)),
    overlap=st.sampled_from(("allow", "skip", "queue", "replace")),
    catch_up=st.sampled_from(("all", "latest", "skip")),
    start_deadline=st.none() | st.sampled_from((5, 90)),
    max_runs=st.none() | st.integers(1, 3),
)


@dataclass(slots=True)
class Promise:
    """A schedule that was made.

    Attributes:
        due: all due times that it may ever have.
        pauses: when each began and ended.
    """

    id: UUID
    wish: Wish
    due: Sequence[datetime]
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    cancelled_at: datetime | None = None

    @classmethod
    def of(cls, schedule_id: UUID, wish: Wish, now: datetime) -> "Promise":
        first = wish.first(now)
        if wish.kind == "once":
            return cls(schedule_id, wish, [first])
        end = now.replace(microsecond=0) + timedelta(seconds=2 + wish.span)
        number = max(-int((first - end) // timedelta(seconds=wish.step)), 0)
        return cls(schedule_id, wish, [first + n * timedelta(seconds=wish.step) for n in range(number)])

    @property
    def is_paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None

    def end_pause(self, now: datetime) -> None:
        """It goes on, if it was paused."""
        if self.is_paused:
            self.pauses[-1] = (self.pauses[-1][0], now)

    def check(self, runs: Iterable[Run]) -> None:
        """Each due time has its run, none has two, and each verdict is one that the policies give."""
        judged = sorted(runs, key=lambda run: run.scheduled_for)
        at = [run.scheduled_for for run in judged]
        assert at == list(self.due[: len(at)])
        if self.cancelled_at is None:
            assert at == list(self._until_enough(judged)), self
        else:
            passed = [due for due in self.due if due < self.cancelled_at]
            assert at == list(self._until_enough(judged)) or passed <= at, self
            assert all(due <= self.cancelled_at for due in at), self
        for run in judged:
            self._check_verdict(run)

    def _until_enough(self, judged: Sequence[Run]) -> Sequence[datetime]:
        """The due times up to the last that ``max_runs`` lets come."""
        most, counted = self.wish.most, 0
        for place, run in enumerate(judged, start=1):
            counted += not self._was_left_out(run)
            if counted == most:
                return self.due[:place]
        return self.due

    def _was_left_out(self, run: Run) -> bool:
        # One that was skipped later, as nobody started it in time, has counted.
        return run.status == SKIPPED and not (run.reason == "too_late" and run.finished_at != run.created_at)

    def _check_verdict(self, run: Run) -> None:
        if run.status == CANCELLED:
            assert run.reason in self._reasons_to_cancel(), run.reason
        elif run.status == SKIPPED:
            assert run.reason in self._reasons_to_skip(run), (run.reason, run.scheduled_for, run.created_at)
        elif self._was_missed(run):
            assert self.wish.catch_up != "skip"
            assert run.trigger == "catch_up"
        else:
            assert run.trigger == "schedule" or len(self.pauses) > 0
        if run.first_started_at is not None and self.wish.start_deadline is not None:
            assert run.first_started_at <= run.scheduled_for + timedelta(seconds=self.wish.start_deadline)

    def _reasons_to_cancel(self) -> set[str]:
        reasons = {"schedule_cancelled"} if self.cancelled_at else set()
        return reasons | ({"overlap"} if self.wish.overlap == "replace" else set())

    def _reasons_to_skip(self, run: Run) -> set[str]:
        wish, reasons = self.wish, set()
        assert run.finished_at is not None
        if wish.overlap == "skip":
            reasons.add("overlap")
        if wish.start_deadline and run.finished_at > run.scheduled_for + timedelta(
            seconds=wish.start_deadline
        ):
            reasons.add("too_late")
        if wish.catch_up != "all" and self._was_missed(run):
            reasons.add("catch_up")
        if wish.catch_up != "all" and self._fell_into_pause(run):
            reasons.add("paused")
        return reasons

    def _was_missed(self, run: Run) -> bool:
        return run.created_at > run.scheduled_for + MISSED

    def _fell_into_pause(self, run: Run) -> bool:
        return any(
            begin <= run.scheduled_for and (end is None or run.scheduled_for < end)
            for begin, end in self.pauses
        )
