"""What a schedule promises: each due time one run, and verdicts that the policies give."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from uuid import UUID

from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.models import Run
from tests.schedules.faults.plans import Plan, Policy

# What is handled later than this was missed.
MISSED = timedelta(seconds=60)
SKIPPED, CANCELLED, BACKFILL = "skipped", "cancelled", "backfill"


def _span(run: Run) -> tuple[datetime, datetime]:
    """From the begin of its first attempt to its end; between two attempts it is in the way, too."""
    assert run.first_started_at is not None
    assert run.finished_at is not None
    return run.first_started_at, run.finished_at


@dataclass(slots=True)
class Promise:
    """A schedule that was made, and what somebody did with it.

    Attributes:
        plans: each with the moment from which on it holds.
        policies: so, too.
        pauses: when each began and ended.
        judged_pauses: parts of pauses that a change of the plan gave their verdict.
        left_out: due times that were left out by hand.
        stopped: runs that were cancelled by hand, and whether none had begun by then.
        backfills: the due times that each was asked for.
    """

    id: UUID
    plans: list[tuple[datetime, Plan]]
    policies: list[tuple[datetime, Policy]]
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    judged_pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    left_out: set[datetime] = field(default_factory=set)
    stopped: dict[UUID, bool] = field(default_factory=dict)
    backfills: dict[UUID, list[datetime]] = field(default_factory=dict)
    cancelled_at: datetime | None = None

    @property
    def plan(self) -> Plan:
        """The one that holds."""
        return self.plans[-1][1]

    @property
    def policy(self) -> Policy:
        return self.policies[-1][1]

    @property
    def due(self) -> list[datetime]:
        """All due times that it may ever have."""
        return [at for at, _ in self._due()]

    def _due(self) -> Iterator[tuple[datetime, Plan]]:
        """Each by the plan that holds when it comes."""
        for (since, plan), (until, _) in pairwise([*self.plans, (None, None)]):
            assert since is not None
            assert plan is not None
            yield from ((at, plan) for at in plan.due() if since < at and (until is None or at <= until))

    @property
    def is_paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1][1] is None

    def end_pause(self, now: datetime) -> None:
        """It goes on, if it was paused."""
        if self.is_paused:
            self.pauses[-1] = (self.pauses[-1][0], now)

    def plan_anew(self, plan: Plan, now: datetime) -> None:
        """What was due up to now has its verdict; a pause that is not over is another one from now on."""
        if self.is_paused:
            self.end_pause(now)
            self.judged_pauses.append((self.pauses[-1][0], now))
            self.pauses.append((now, None))
        kept = set(plan.due()) if plan.has_trigger_of(self.plan) else set()
        self.left_out = {at for at in self.left_out if at <= now or at in kept}
        self.plans.append((now, plan))

    def check(self, runs: Iterable[Run], backfills: Sequence[Backfill]) -> None:
        """Each due time has its run, none has two, and each verdict is one that the policies give."""
        every = sorted(runs, key=lambda run: run.scheduled_for)
        judged = [run for run in every if run.trigger != BACKFILL]
        self._check_times([run for run in judged if run.scheduled_for not in self.left_out])
        assert self.left_out <= {run.scheduled_for for run in judged}, self
        for run in judged:
            self._check_verdict(run)
        self._check_made_up_for(judged)
        self._check_turns(every)
        self._check_backfills(every, backfills)

    def _check_times(self, judged: Sequence[Run]) -> None:
        at = [run.scheduled_for for run in judged]
        wanted = self._until_enough(judged)
        if self.cancelled_at is None:
            assert at == wanted, self
            return
        # What passed before is accounted for without regard to the number of runs.
        all_of_the_last = self._until_enough(judged, but_for=self.plan)
        passed = [due for due in all_of_the_last if due < self.cancelled_at]
        assert at == wanted or (at == all_of_the_last[: len(at)] and len(passed) <= len(at)), self
        assert all(due <= self.cancelled_at for due in at), self

    def _until_enough(self, judged: Sequence[Run], but_for: Plan | None = None) -> list[datetime]:
        """The due times, but for those that ``max_runs`` does not let come."""
        runs, counted, found = {run.scheduled_for: run for run in judged}, 0, list[datetime]()
        for at, plan in self._due():
            has_enough = plan.most is not None and counted >= plan.most
            if at in self.left_out or (has_enough and plan is not but_for):
                continue
            found.append(at)
            counted += at in runs and not self._was_left_out(runs[at])
        return found

    def _was_left_out(self, run: Run) -> bool:
        # One that was skipped later, as nobody started it in time, has counted.
        return run.status == SKIPPED and not (run.reason == "too_late" and run.finished_at != run.created_at)

    def _check_verdict(self, run: Run) -> None:
        if run.backfill_id is not None:
            self._check_backfilled(run)
        elif run.scheduled_for in self.left_out:
            assert (run.status, run.reason) == (SKIPPED, "manual")
        elif run.status == CANCELLED:
            assert run.reason in self._reasons_to_cancel(run), run.reason
        elif run.status == SKIPPED:
            assert run.reason in self._reasons_to_skip(run), (run.reason, run.scheduled_for, run.created_at)
        elif self._was_missed(run):
            assert run.trigger == "catch_up"
        else:
            assert run.trigger == "schedule" or len(self.pauses) > 0
        if run.id in self.stopped:
            assert run.status == CANCELLED or not self.stopped[run.id], run.status
        self._check_start(run)

    def _check_start(self, run: Run) -> None:
        deadlines = {policy.start_deadline for policy in self._policies_of(run)}
        if run.first_started_at is None or run.backfill_id is not None or None in deadlines:
            return
        latest = max(seconds for seconds in deadlines if seconds is not None)
        assert run.first_started_at <= run.scheduled_for + timedelta(seconds=latest)

    def _check_made_up_for(self, judged: Sequence[Run]) -> None:
        """Of what was missed, what ``catch_up`` lets come: nothing, or of each moment the latest."""
        rounds = defaultdict[datetime, list[Run]](list)
        for run in judged:
            if run.trigger == "catch_up":
                rounds[run.created_at].append(run)
        for found in rounds.values():
            words = {policy.catch_up for policy in self._policies_of(found[0])}
            let_come = [run for run in found if run.backfill_id is None and self._was_let_come(run)]
            assert words != {"skip"} or let_come == [], self
            if words == {"latest"}:
                self._check_latest(found, let_come)

    def _check_latest(self, found: Sequence[Run], let_come: Sequence[Run]) -> None:
        """None was left out but for a later one, and only one was let come."""
        assert len(let_come) <= 1, self
        left_out = [run.scheduled_for for run in found if self._was_left_out_for_another(run)]
        # Nobody knows any more why one was skipped that a backfill has done after all.
        after_all = [run for run in found if run.backfill_id is not None]
        for at in left_out:
            assert any(run.scheduled_for > at for run in let_come or after_all), self

    def _was_let_come(self, run: Run) -> bool:
        """Whether ``catch_up`` did, though it may have met another."""
        return run.status != SKIPPED or run.finished_at != run.created_at or run.reason == "overlap"

    def _was_left_out_for_another(self, run: Run) -> bool:
        # A change of the plan leaves out all of a pause that is not over.
        is_judged = any(begin <= run.scheduled_for <= end for begin, end in self.judged_pauses)
        is_paused = run.reason == "paused" and not is_judged
        return run.backfill_id is None and (run.reason == "catch_up" or is_paused)

    def _check_turns(self, runs: Sequence[Run]) -> None:
        """Due times, and the runs of each backfill, are at work one by one, unless they may overlap."""
        begun = [run for run in runs if run.first_started_at is not None]
        for earlier, later in combinations(sorted(begun, key=_span), 2):
            if earlier.backfill_id == later.backfill_id and "manual" not in (earlier.trigger, later.trigger):
                since = min(earlier.created_at, later.created_at)
                may_overlap = any(each.overlap == "allow" for each in self._policies(since, _span(later)[0]))
                assert may_overlap or _span(earlier)[1] <= _span(later)[0], (earlier, later)

    def _policies_of(self, run: Run) -> list[Policy]:
        """Those by which it may have been judged: what happens in one moment has no order here."""
        return self._policies(run.created_at, run.created_at)

    def _policies(self, since: datetime, until: datetime | None) -> list[Policy]:
        """Those that held at some time between both, both included."""
        ends = [begin for begin, _ in self.policies[1:]] + [None]
        return [
            policy
            for (begin, policy), end in zip(self.policies, ends, strict=True)
            if (until is None or begin <= until) and (end is None or end >= since)
        ]

    def _reasons_to_cancel(self, run: Run) -> set[str]:
        reasons = {"schedule_cancelled"} if self.cancelled_at else set()
        if any(policy.overlap == "replace" for policy in self._policies(run.created_at, None)):
            reasons.add("overlap")
        return reasons | ({"manual"} if run.id in self.stopped else set())

    def _reasons_to_skip(self, run: Run) -> set[str]:
        policies, reasons = self._policies_of(run), set()
        assert run.finished_at is not None
        late = run.finished_at - run.scheduled_for
        if any(policy.overlap == "skip" for policy in policies):
            reasons.add("overlap")
        if any(each.start_deadline and late > timedelta(seconds=each.start_deadline) for each in policies):
            reasons.add("too_late")
        catches_up = {policy.catch_up for policy in policies} == {"all"}
        if not catches_up and self._was_missed(run):
            reasons.add("catch_up")
        pauses = self.judged_pauses if catches_up else [*self.judged_pauses, *self.pauses]
        if any(begin <= run.scheduled_for and (not end or run.scheduled_for <= end) for begin, end in pauses):
            reasons.add("paused")
        return reasons

    def _was_missed(self, run: Run) -> bool:
        return run.created_at > run.scheduled_for + MISSED

    def _check_backfilled(self, run: Run) -> None:
        """It was skipped, and is to be done after all."""
        assert run.status != SKIPPED
        assert run.status != CANCELLED or run.reason in {"manual", "schedule_cancelled"}

    def _check_backfills(self, runs: Sequence[Run], backfills: Sequence[Backfill]) -> None:
        """Each due time in the range of one that is complete has been seen to, and no other was."""
        there = {run.scheduled_for: run for run in runs}
        assert {backfill.id for backfill in backfills} == self.backfills.keys()
        for run in runs:
            if run.trigger == BACKFILL:
                assert run.scheduled_for in self.backfills[run.backfill_id], self  # type: ignore[index]
                self._check_backfilled(run)
        for backfill in backfills:
            if backfill.status == CANCELLED:
                assert self.cancelled_at is not None or len(self.plans) > 1
                continue
            assert backfill.status == "completed"
            for at in self.backfills[backfill.id]:
                if at < backfill.to_at:
                    run = there[at]
                    assert run.status != SKIPPED or run.finished_at >= backfill.created_at  # type: ignore[operator]
