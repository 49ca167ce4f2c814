"""What people do with schedules and runs, over the API, and what they may expect of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from taskapi.core.db import session
from taskapi.schedules.bookkeeping import Backfill
from taskapi.schedules.engine.claims import IS_OPEN
from taskapi.schedules.models import Run
from tests.schedules.faults.plans import POLICIES, WISHES, ZONES, Plan, Policy, Wish, trigger_fields
from tests.schedules.faults.promises import Promise
from tests.schedules.faults.scenario import World


class ByHand(RuleBasedStateMachine):
    """Schedules are made, changed and controlled; each has a promise, which is kept up to date.

    Args:
        fresh: makes the world.
    """

    made: Bundle[Promise] = Bundle("made")

    def __init__(self, fresh: Callable[[], World]) -> None:
        super().__init__()
        self.world = fresh()
        self.promises: dict[UUID, Promise] = {}

    @initialize(target=made, first=WISHES, second=WISHES)
    def begin_with_two(self, first: Wish, second: Wish) -> Any:
        return multiple(*self._make(first), *self._make(second))

    @rule(target=made, wish=WISHES)
    def make(self, wish: Wish) -> Any:
        return multiple(*self._make(wish))

    def _make(self, wish: Wish) -> list[Promise]:
        """One promise, or none where nothing would ever be due."""
        now = self.world.time.now
        plan = wish.plan(now)
        answer = self.world.owner.post("/api/schedules", {**wish.fields(), **trigger_fields(plan)})
        if answer.status_code == 422:
            assert plan.due() == [], answer.text
            return []
        assert answer.status_code == 201, answer.text
        promise = Promise(UUID(answer.json["id"]), [(now, plan)], [(now, wish.policy)])
        assert promise.due != []
        self.promises[promise.id] = promise
        return [promise]

    @rule(promise=made, word=st.sampled_from(("pause", "resume", "cancel")))
    def control(self, promise: Promise, word: str) -> None:
        answer = self.world.owner.post(f"/api/schedules/{promise.id}/{word}")
        assert answer.status_code in (200, 409), answer.text
        now = self.world.time.now
        if answer.status_code == 409:
            # It is over.
            return
        if word == "resume":
            promise.end_pause(now)
        elif word == "cancel":
            promise.cancelled_at = promise.cancelled_at or now
        elif not promise.is_paused:
            promise.pauses.append((now, None))

    @rule(promise=made, wish=WISHES)
    def change_trigger(self, promise: Promise, wish: Wish) -> None:
        self._plan_anew(promise, wish.plan(self.world.time.now, is_bounded=False), trigger_fields)

    @rule(promise=made, zone=st.sampled_from(tuple(ZONES)))
    def change_zone(self, promise: Promise, zone: str) -> None:
        self._plan_anew(promise, replace(promise.plan, zone=zone), lambda plan: {"timezone": plan.zone})

    def _plan_anew(self, promise: Promise, plan: Plan, fields: Callable[[Plan], dict[str, Any]]) -> None:
        if plan == promise.plan:
            return
        answer, now = self._change(promise, fields(plan)), self.world.time.now
        if answer.status_code == 422:
            assert [at for at in plan.due() if at > now] == [], answer.text
        elif answer.status_code == 200:
            promise.plan_anew(plan, now)

    @rule(promise=made, policy=POLICIES)
    def change_policy(self, promise: Promise, policy: Policy) -> None:
        if promise.plan.most is not None and policy.overlap == "replace":
            # What is replaced would not count.
            policy = replace(policy, overlap="queue")
        if self._change(promise, policy.fields()).status_code == 200:
            promise.policies.append((self.world.time.now, policy))

    def _change(self, promise: Promise, fields: dict[str, Any]) -> Any:
        answer = self.world.owner.patch(f"/api/schedules/{promise.id}", fields)
        assert answer.status_code in (200, 409, 422), answer.text
        assert (answer.status_code == 409) == (promise.cancelled_at is not None), answer.text
        return answer

    @rule(place=st.integers(0, 3))
    def skip_one(self, place: int) -> None:
        """A due time to come is left out."""
        now = self.world.time.now
        coming = [(each, at) for each in self.promises.values() for at in each.due if at > now]
        if coming == []:
            return
        promise, at = coming[place % len(coming)]
        answer = self.world.owner.post(f"/api/schedules/{promise.id}/skip", {"at": at.isoformat()})
        if answer.status_code == 200:
            promise.left_out.add(at)
            return
        # It is over, has as many runs as were wanted, or all of the rest was left out before.
        assert answer.status_code in (409, 422), answer.text
        has_ended = promise.cancelled_at is not None or promise.left_out
        assert has_ended or promise.plan.most is not None, answer.text

    @rule(promise=made, seconds=st.sampled_from((60, 150, 400)))
    def backfill(self, promise: Promise, seconds: int) -> None:
        """What was due lately is to be done after all; nobody knows what of it ``max_runs`` counted."""
        if promise.plan.most is not None:
            return
        now = self.world.time.now
        begin = now - timedelta(seconds=seconds)
        sent = {"from": begin.isoformat(), "to": now.isoformat()}
        answer = self.world.owner.post(f"/api/schedules/{promise.id}/backfill", sent)
        if promise.cancelled_at is not None:
            assert answer.status_code == 409, answer.text
            return
        assert answer.status_code == 202, answer.text
        due = [at for at in promise.plan.due() if begin <= at <= now]
        promise.backfills[UUID(answer.json["id"])] = due

    @rule(place=st.integers(0, 3))
    def stop_run(self, place: int) -> None:
        """A run that is open is cancelled, whether a worker has it or not."""
        order = list(self.promises)
        with self.world.app.app_context():
            found = session().scalars(sa.select(Run).where(IS_OPEN)).all()
            runs = sorted(found, key=lambda run: (run.scheduled_for, order.index(run.schedule_id)))
            chosen = [(run.id, run.schedule_id, run.status) for run in runs]
        if chosen == []:
            return
        run_id, schedule_id, status = chosen[place % len(chosen)]
        answer = self.world.owner.post(f"/api/runs/{run_id}/cancel")
        assert answer.status_code == 200, answer.text
        self.promises[schedule_id].stopped[run_id] = status == "pending"

    def check_promises(self, runs: Sequence[Run]) -> None:
        """All that was promised is kept."""
        backfills = session().scalars(sa.select(Backfill)).all()
        for promise in self.promises.values():
            promise.check(
                [run for run in runs if run.schedule_id == promise.id],
                [backfill for backfill in backfills if backfill.schedule_id == promise.id],
            )
