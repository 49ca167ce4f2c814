"""Puts the scheduler process together: dispatch, relay, heartbeat, watches and housekeeping entries."""

import gc

from flask import Flask

from taskapi.background import names
from taskapi.background.connection import open_redis
from taskapi.background.scheduler import HousekeepingEntry, TaskScheduler
from taskapi.config import Settings
from taskapi.core.db import transaction
from taskapi.events.service import relay_in_groups
from taskapi.ops import audit, service
from taskapi.schedules.engine import watch
from taskapi.schedules.engine.cancelling import end_overdue_cancels
from taskapi.schedules.engine.dispatch import dispatch_due
from taskapi.schedules.engine.rescue import requeue_ungiven, rescue_dead_leases

HOUSEKEEPING = [
    HousekeepingEntry(names.RESCUE_RUNS, interval=5),
    HousekeepingEntry(names.SWEEP_EMAILS, interval=5),
    HousekeepingEntry(names.SWEEP_WEBHOOKS, interval=5),
    HousekeepingEntry(names.SWEEP_OBJECTS, interval=60),
    HousekeepingEntry(names.SWEEP_WEATHER, interval=60),
    HousekeepingEntry(names.SWEEP_IMPORTS, interval=10),
    HousekeepingEntry(names.MARK_OVERDUE, interval=300),
    HousekeepingEntry(names.SAMPLE_FILES, interval=600),
    HousekeepingEntry(names.FORGET_OLD_ROWS, interval=3600),
    HousekeepingEntry(names.FORGET_OLD_RUNS, interval=3600),
    HousekeepingEntry(names.PURGE_TASKS, interval=3600),
    HousekeepingEntry(names.FORGET_DELIVERIES, interval=3600),
]
# Once a second, also while no worker lives and while Redis is away.
WATCHES = [
    *(watch.skip_late_starts, watch.tell_overdue, watch.fail_silent),
    *(end_overdue_cancels, rescue_dead_leases, requeue_ungiven, audit.audit_if_due),
]


def run_scheduler(app: Flask, settings: Settings) -> None:
    """Schedule until told to stop."""
    # What is there now is never garbage, and looking through it would hold up what is due.
    gc.collect()
    gc.freeze()
    TaskScheduler(
        app,
        open_redis(settings),
        dispatch=dispatch_due,
        relay=relay_in_groups,
        beat=_beat,
        entries=HOUSEKEEPING,
        watches=WATCHES,
    ).run()


def _beat(name: str) -> None:
    with transaction():
        service.beat(name=name, kind="scheduler")
