"""One of each: what is due at a minute past nine and all that follows from it, in phases."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.core.db import transaction
from taskapi.events.jobs import sweep_webhooks
from taskapi.events.service import relay_events
from taskapi.notifications.jobs import sweep_emails
from taskapi.schedules.actions.base import ActionFailed, RunContext
from taskapi.schedules.engine import claims
from taskapi.schedules.jobs import rescue_runs
from tests.events.webhooks.making import Inbox, subscribe
from tests.people import Person
from tests.schedules.faults.processes import Worker, forget_everything, keeper, safely
from tests.schedules.faults.struck import Fault, Played
from tests.schedules.faults.wrappers import Outside
from tests.schedules.making import Time, make
from tests.schedules.probe import Probe
from tests.smtp import MailServer
from tests.work import dispatch_all

# Of these two there are runs by hand alone.
NEVER = {"cron": "0 0 1 1 *"}
# Longer than from one renewal of a lease to the next.
BEAT = 6
# Longer than a lease of a run, a webhook and a mail, and than a webhook waits after a few attempts.
PAUSES = (3, 10, 25, 25, 45, 130, 45, 130, 45, 3_700, 45, 130, 45)


class Phase(StrEnum):
    """What one process does in one go, in this order."""

    RESCUE = "rescue"
    DISPATCH = "dispatch"
    WORK = "work"
    AGAIN = "again"
    RELAY = "relay"
    WEBHOOKS = "webhooks"
    MAIL = "mail"


@dataclass
class World:
    """Who is there: the installation, its owner, and those whom it calls and writes to."""

    app: Flask
    time: Time
    outside: Outside
    owner: Person
    probe: Probe
    called: Inbox
    told: Inbox
    mails: MailServer


@dataclass
class Scenario:
    """What is played in a world.

    Attributes:
        due: the due times of each schedule that has any.
        by_hand: the runs that somebody asked for.
    """

    world: World
    due: dict[UUID, list[datetime]] = field(default_factory=dict)
    by_hand: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = self.world.app
        self.workers = {
            Phase.WORK: Worker(app, Queue.HOUSEKEEPING, Queue.RUNS, Queue.RUNS_BULK),
            Phase.WEBHOOKS: Worker(app, Queue.WEBHOOKS),
            Phase.MAIL: Worker(app, Queue.MAIL),
        }
        self._acts: dict[Phase, Callable[[], None]] = {
            Phase.RESCUE: lambda: safely(app, rescue_runs, sweep_emails, sweep_webhooks),
            Phase.DISPATCH: lambda: safely(app, dispatch_all),
            Phase.AGAIN: lambda: safely(app, dispatch_all),
            Phase.RELAY: lambda: safely(app, relay_events),
        }

    def prepare(self) -> None:
        """Make the schedules, and let their due times come."""
        random.seed(20)
        self.world.probe.behave = self._behave
        subscribe(self.world.owner, self.world.told.url, "run.*", "schedule.completed")
        self._ask_by_hand("lost", "forgotten")
        start, at = self.world.time.now, self.world.time.now + timedelta(minutes=1)
        # The second mail goes over the connection of the first.
        for name in ("reminder", "another"):
            self._make(name, [at], run_at=at)
        self._make("call", [at], run_at=at, action="webhook", params={"url": self.world.called.url})
        turns = [start + timedelta(seconds=20), start + timedelta(seconds=40)]
        self._make("turns", turns, every=20, max_runs=2, overlap="queue", **PROBE)
        self._make("flaky", [at], run_at=at, retry=RETRY, **PROBE)
        self.play(Phase.RELAY)
        self.play(Phase.WEBHOOKS)
        self.world.time.pass_(minutes=1)

    def _behave(self, context: RunContext) -> None:
        """The flaky one fails when it is called for the first time, another needs its lease for longer."""
        context.log("at work")
        if context.schedule_name == "forgotten":
            self.world.time.pass_(seconds=BEAT)
            keeper.beat(context)
        earlier = [call for call in self.world.probe.calls[:-1] if call.schedule_name == "flaky"]
        if context.schedule_name == "flaky" and not earlier:
            raise ActionFailed("not yet")

    def _make(self, name: str, due: list[datetime], **fields: Any) -> None:
        if "run_at" in fields:
            fields["run_at"] = fields["run_at"].isoformat()
        schedule = make(self.world.owner, name=name, notify=[], catch_up="all", **fields)
        self.due[UUID(schedule["id"])] = due

    def _ask_by_hand(self, lost: str, forgotten: str) -> None:
        """Two runs: a worker claimed one and is gone, and Redis has forgotten the other."""
        for name in (lost, forgotten):
            schedule = make(self.world.owner, name=name, notify=[], **NEVER, **PROBE)
            answer = self.world.owner.post(f"/api/schedules/{schedule['id']}/run")
            self.by_hand.append(UUID(answer.json["id"]))
        with self.world.app.app_context():
            redis_client().flushdb()
            with transaction():
                claims.claim_run(self.by_hand[0], worker="gone", lease_seconds=20)

    def play(self, phase: Phase, fault: Fault | None = None) -> Played:
        """One phase, in which ``fault`` happens."""
        if phase is Phase.AGAIN:
            # Until the second attempt of what failed.
            self.world.time.pass_(seconds=2)
        with self.world.outside.played(fault) as played:
            if phase in self.workers:
                self.workers[phase].work()
            else:
                self._acts[phase]()
        if played.has_died:
            forget_everything(self.world.app)
            if phase in self.workers:
                self.workers[phase].bury()
        return played

    def heal(self, is_quiet: Callable[[], bool]) -> None:
        """Nothing goes wrong any more: let time pass until nothing is left to do."""
        for seconds in PAUSES:
            self.world.time.pass_(seconds=seconds)
            for phase in (*Phase, *Phase):
                self.play(phase)
            if is_quiet():
                break
        for worker in self.workers.values():
            worker.leave()


PROBE: dict[str, Any] = {"action": "probe", "params": {}}
RETRY = {"max_attempts": 3, "delay": 1, "factor": 1, "max_delay": 1}
