"""Anything in any order: schedules of all kinds, schedulers, workers, and what goes wrong with them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import session
from taskapi.core.events import Event
from taskapi.events.jobs import sweep_webhooks
from taskapi.events.service import relay_events
from taskapi.notifications.jobs import sweep_emails
from taskapi.notifications.models import Email
from taskapi.ops.scheduling import WATCHES
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine.lease import HEARTBEAT_SECONDS, LEASE_SECONDS
from taskapi.schedules.jobs import rescue_runs
from taskapi.schedules.models import Run
from tests.events.webhooks.making import subscribe
from tests.schedules.faults import ledger
from tests.schedules.faults.attempts import Attempt
from tests.schedules.faults.by_hand import ByHand
from tests.schedules.faults.processes import Scheduler, Worker, forget_everything, keeper
from tests.schedules.faults.promises import Promise
from tests.schedules.faults.scenario import PAUSES, World
from tests.schedules.faults.struck import Fault, Mode, Played, may_mail_twice
from tests.work import dispatch_all

TASKS: dict[str, Sequence[Callable[[], object]]] = {
    "rescue": (rescue_runs, sweep_emails, sweep_webhooks),
    "watch": WATCHES,
    "dispatch": (dispatch_all,),
    "relay": (relay_events,),
}
FIRST_OR_SECOND = st.integers(0, 1)
# Most of what is done at once has fewer steps than the longest has.
STEPS = st.integers(1, 20) | st.integers(1, 60)
A_FAULT = st.builds(Fault, step=STEPS, mode=st.sampled_from(Mode))
FAULTS = st.none() | A_FAULT
# Longer than from one renewal of a lease to the next, and how long it holds at least after a beat.
BEAT, HOLDS = 6, timedelta(seconds=LEASE_SECONDS - HEARTBEAT_SECONDS)


class Machine(ByHand):
    """One example: a world, and what people, processes and faults do in it."""

    def __init__(self, fresh: Callable[[], World]) -> None:
        random.seed(20)
        super().__init__(fresh)
        app = self.world.app
        self.schedulers = [Scheduler(app), Scheduler(app)]
        self.workers = [Worker(app, *Queue), Worker(app, *Queue)]
        self.attempts: dict[int, Attempt] = {}
        self.mails_may_come_twice = False
        self.started: list[tuple[UUID, int, datetime]] = []
        self.world.probe.behave = self._behave
        self.dies_in_attempt = False
        self.beats_in_attempt = 0
        subscribe(self.world.owner, self.world.told.url, "run.*", "schedule.completed")

    def _behave(self, context: RunContext) -> dict[str, int]:
        self.started.append((context.run_id, context.attempt, self.world.time.now))
        for _ in range(self.beats_in_attempt):
            self.world.time.pass_(seconds=BEAT)
            keeper.beat(context)
        if self.dies_in_attempt:
            self.dies_in_attempt = False
            raise self.world.outside.kill()
        if context.attempt == 1 and context.schedule_name == "cron":
            raise ActionFailed("not yet")
        return {"attempt": context.attempt}

    @rule(seconds=st.sampled_from((1, 3, 10, 21, 59, 61, 130)))
    def pass_time(self, seconds: int) -> None:
        self.world.time.pass_(seconds=seconds)

    @rule(who=FIRST_OR_SECOND, fault=FAULTS)
    def when_due(self, who: int, fault: Fault | None) -> None:
        """The next due time of any schedule comes, and a scheduler sees to it."""
        now = self.world.time.now
        coming = [at for promise in self.promises.values() for at in promise.due if at > now]
        self.world.time.now = min(coming, default=now)
        self.schedule(who=who, task="dispatch", fault=fault)

    @rule(promise=ByHand.made, who=FIRST_OR_SECOND, seconds=st.sampled_from((70, 150)))
    def make_up_for_it(self, promise: Promise, who: int, seconds: int) -> None:
        """Nobody sees to what is due for a while, and what was left out is asked for after all."""
        self.when_due(who=who, fault=None)
        self.pass_time(seconds=seconds)
        self.schedule(who=who, task="dispatch", fault=None)
        self.backfill(promise=promise, seconds=400)

    @rule(who=FIRST_OR_SECOND, place=st.integers(0, 3))
    def stop_what_is_due(self, who: int, place: int) -> None:
        self.when_due(who=who, fault=None)
        self.stop_run(place=place)

    @rule(who=FIRST_OR_SECOND, faults=st.lists(A_FAULT, min_size=1, max_size=5))
    def carry_on(self, who: int, faults: list[Fault]) -> None:
        """Due time after due time comes, and with each of them a fault."""
        for fault in faults:
            self.when_due(who=who, fault=fault)
            if len(self.attempts) < 2:
                self.work(who=who, fault=None, dies=False)

    @rule(who=FIRST_OR_SECOND, task=st.sampled_from(("dispatch", "relay", "rescue", "watch")), fault=FAULTS)
    def schedule(self, who: int, task: str, fault: Fault | None) -> None:
        """One of the schedulers does one of its tasks; the rescue is that of housekeeping."""
        if self._play(fault, lambda: self.schedulers[who].do(*TASKS[task])).has_died:
            self.schedulers[who].forget()

    @rule(who=FIRST_OR_SECOND, fault=FAULTS, dies=st.booleans(), beats=st.sampled_from((0, 0, 1, 4)))
    def work(self, who: int, fault: Fault | None, dies: bool, beats: int = 0) -> None:
        """A worker that has nothing in its hands, perhaps until it dies in the middle of an attempt."""
        if self._all_are_busy():
            return
        worker = self.workers[self._free(who)]
        self.dies_in_attempt, self.beats_in_attempt = dies, beats
        if self._play(fault, worker.work).has_died:
            worker.bury()
        self.dies_in_attempt, self.beats_in_attempt = False, 0

    @rule(who=FIRST_OR_SECOND)
    def begin(self, who: int) -> None:
        """A worker takes the next run when that is due, and takes its time."""
        if self._all_are_busy():
            return
        self.when_due(who=who, fault=None)
        self._take(who)

    def _take(self, who: int) -> None:
        free, begun = self._free(who), list[Attempt | None]()
        self._play(None, lambda: begun.append(Attempt.begin(self.workers[free])))
        for attempt in filter(None, begun):
            self.attempts[free] = attempt

    @rule(seconds=st.sampled_from((3, BEAT, 15)), fault=FAULTS)
    def go_on(self, seconds: int, fault: Fault | None) -> None:
        """A worker that takes its time keeps its lease, if the fault lets it."""
        if not self.attempts:
            return
        who, attempt = next(iter(self.attempts.items()))
        self.world.time.pass_(seconds=seconds)
        kept = list[bool]()
        played = self._play(fault, lambda: kept.append(attempt.beat()))
        assert played.was_killed or kept != []
        if played.was_killed:
            self.attempts.pop(who).lose()
        elif played.struck is None and kept == [True]:
            self._assert_it_holds(attempt)

    def _assert_it_holds(self, attempt: Attempt) -> None:
        with self.world.app.app_context():
            run = session().get_one(Run, attempt.context.run_id)
            assert (run.status, run.attempt) == ("running", attempt.context.attempt)
            assert run.lease_until is not None
            assert run.lease_until >= self.world.time.now + HOLDS

    @rule(who=FIRST_OR_SECOND, faults=st.lists(FAULTS, min_size=4, max_size=4))
    def take_long(self, who: int, faults: list[Fault | None]) -> None:
        """For longer than a lease, which is kept unless something goes wrong again and again."""
        if self._all_are_busy():
            return
        self.begin(who=who)
        for fault in faults:
            if self.attempts:
                self.go_on(seconds=BEAT, fault=fault)
            self.schedule(who=who, task="watch", fault=None)
        if self.attempts:
            self.come_back(fault=None)

    @rule(fault=FAULTS)
    def come_back(self, fault: Fault | None) -> None:
        """It has done its work, perhaps long after another did."""
        if not self.attempts:
            return
        who, attempt = self.attempts.popitem()
        if self._play(fault, attempt.end).has_died:
            self.workers[who].bury()

    @rule(who=FIRST_OR_SECOND, seconds=st.sampled_from((15, 25)))
    def stand_still(self, who: int, seconds: int) -> None:
        """A worker takes a run and stands still; another takes what is there by then, and it comes back."""
        if self._all_are_busy():
            return
        if not self.attempts:
            self.begin(who=who)
        self.world.time.pass_(seconds=seconds)
        for task in ("rescue", "dispatch"):
            self.schedule(who=who, task=task, fault=None)
        late = list(self.attempts)
        self._take(who)
        for slow in late:
            self._play(None, self.attempts.pop(slow).end)

    @rule()
    def never_come_back(self) -> None:
        if not self.attempts:
            return
        _, attempt = self.attempts.popitem()
        attempt.lose()

    @rule()
    def flush_redis(self) -> None:
        with self.world.app.app_context():
            redis_client().flushdb()

    def _all_are_busy(self) -> bool:
        """No precondition: it hangs on threads, and the same choices must lead to the same rules."""
        return len(self.attempts) == len(self.workers)

    def _free(self, who: int) -> int:
        return 1 - who if who in self.attempts else who

    def _play(self, fault: Fault | None, act: Callable[[], None]) -> Played:
        with self.world.outside.played(fault) as played:
            act()
        self.mails_may_come_twice |= may_mail_twice(fault, played)
        if played.was_killed:
            forget_everything(self.world.app)
        return played

    @invariant()
    def nothing_is_doubled_early_or_not_ones_own(self) -> None:
        with self.world.app.app_context():
            runs = session().scalars(sa.select(Run)).all()
            due = Counter((run.schedule_id, run.scheduled_for) for run in runs)
            assert max(due.values(), default=1) == 1
            for run in runs:
                assert run.first_started_at is None or run.first_started_at >= run.scheduled_for
                if run.status == "completed" and run.action == "probe":
                    assert run.result == {"attempt": run.attempt}
            ends = sa.select(Event.subject_id).where(Event.type.in_(ledger.ENDS))
            assert max(Counter(session().scalars(ends)).values(), default=1) == 1
            ledger.check_counts(runs)

    def teardown(self) -> None:
        """All goes well from now on, and time passes until nothing is left to do: then all must be there."""
        late, self.attempts = self.attempts, {}
        for who in late:
            self.workers[who] = Worker(self.world.app, *Queue)
        for promise in self.promises.values():
            if promise.is_paused:
                self.control(promise=promise, word="resume")
        self._heal()
        for attempt in late.values():
            self._play(None, attempt.end)
            self.workers.append(attempt.worker)
        self._heal()
        for worker in self.workers:
            worker.leave()
        self.nothing_is_doubled_early_or_not_ones_own()
        self._check()

    def _heal(self) -> None:
        for place, seconds in enumerate(PAUSES):
            self.world.time.pass_(seconds=seconds)
            for task in TASKS:
                self.schedule(who=place % 2, task=task, fault=None)
            # What was done is told, and what was told is sent.
            for task in ("relay", "dispatch"):
                self.work(who=place % 2, fault=None, dies=False)
                self.schedule(who=place % 2, task=task, fault=None)
            if ledger.is_quiet(self.world.app) and self._nothing_comes():
                return

    def _nothing_comes(self) -> bool:
        return all(at < self.world.time.now for promise in self.promises.values() for at in promise.due)

    def _check(self) -> None:
        with self.world.app.app_context():
            runs = session().scalars(sa.select(Run)).all()
            self.check_promises(runs)
            self._check_starts(runs)
            self._check_mails(runs)
            ledger.check_told(self.world.told)
            ledger.check_none_set_aside()
            ledger.check_redis(redis_client())

    def _check_starts(self, runs: Sequence[Run]) -> None:
        """None was started before its time, and what has ended well was."""
        due = {run.id: run.scheduled_for for run in runs}
        assert [run_id for run_id, _, at in self.started if at < due[run_id]] == []
        ledger.check_attempts((run_id, attempt) for run_id, attempt, _ in self.started)
        done = {run.id for run in runs if run.action == "probe" and run.status == "completed"}
        assert done <= {run_id for run_id, _, _ in self.started}
        for run in runs:
            # Its attempts are used up, or nobody wants it any more.
            is_over = self.promises[run.schedule_id].cancelled_at is not None
            assert run.status != "failed" or is_over or run.attempt >= run.max_attempts

    def _check_mails(self, runs: Sequence[Run]) -> None:
        """Who was reminded got a mail, and none of them another."""
        emails = session().scalars(sa.select(Email)).all()
        done = {str(run.id) for run in runs if run.action == "reminder" and run.status == "completed"}
        assert done <= {email.key.split(":")[1] for email in emails if email.kind == "reminder"}
        assert {email.status for email in emails} <= {"sent"}
        arrived = Counter(str(message["Message-ID"]) for message in self.world.mails.messages)
        assert {name.strip("<>").partition("@")[0] for name in arrived} == {str(email.id) for email in emails}
        assert self.mails_may_come_twice or max(arrived.values(), default=1) == 1
