"""One trial from the first schedule to the last outcome."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from tests.e2e.installation import ApiUser
from tests.e2e.ledger.faults import Troublemaker, moments
from tests.e2e.ledger.ground import Ground, ground
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.judging import judge
from tests.e2e.ledger.making import LEAD, Maker
from tests.e2e.ledger.plans import OWNERS, Planned, plans, window_from
from tests.e2e.ledger.pulse import feeling
from tests.e2e.ledger.witness import hearing, stand_by

# Longer than the lease of a mail, which is the longest, and its sweep.
PATIENCE_SECONDS = 200.0
# So many seconds before it is first due a schedule is made: requests meet kills all the time.
AHEAD_SECONDS = (10.0, 40.0)
# All that happens to schedules, and the rarer ends of runs: calls to tell of each success would take a
# processor from what is tried.
HEARS = ("schedule.created", "schedule.completed", "schedule.runs_skipped", "run.cancelled", "run.failed")
STILL_OPEN = {
    "runs": "SELECT id, status, attempt, queued_at, retry_at, due_at, lease_until, worker FROM runs"
    " WHERE status IN ('pending', 'running')",
    "events": "SELECT id, type FROM events WHERE position IS NULL",
    "subscribers": "SELECT event_id, subscriber, error FROM failed_deliveries",
    "mails": "SELECT id, status, attempts, last_error FROM emails WHERE status IN ('pending', 'sending')",
    "deliveries": "SELECT id, status, error FROM webhook_deliveries"
    " WHERE status NOT IN ('succeeded', 'failed')",
    "schedules": "SELECT id, name, next_run_at, fault FROM schedules WHERE status = 'active'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How much, for how long, and by which dice: the same seed breaks the same at the same moments.

    Attributes:
        seconds: in which all is due and all faults happen.
        ready: seconds before that for creating what is due first.
        threads: so many of what waits a worker does at once.
    """

    seed: int
    seconds: int
    due_times: int
    faults: int
    ready: int
    threads: int = 1


SHORT = Trial(seed=1, seconds=30, due_times=400, faults=15, ready=8)
# Some schedules are not made in time, and their due times are none.
LONG = Trial(seed=1, seconds=1200, due_times=10_500, faults=270, ready=60)


def play(folder: Path, trial: Trial) -> Judgement:
    """Create, break, wait, and compare."""
    with (
        ground(folder, threads=trial.threads) as place,
        hearing(place.installation.environment["REDIS_URL"]) as heard,
        feeling(folder) as stalls,
    ):
        stand_by(place.database)
        maker = Maker({owner: _sign_up(place, owner) for owner in OWNERS}, place.addresses())
        troublemaker = Troublemaker(place, random.Random(trial.seed))
        end = _break_while_due(place, trial, maker, troublemaker)
        left = _wait_for_the_end(place, end)
        judgement = judge(place, maker.made, troublemaker, hears=HEARS, heard=heard, stalls=stalls)
        judgement.count(unanswered=maker.unanswered)
        for what, rows in left.items():
            judgement.blame(f"{what} without an end", rows)
        return judgement


def _sign_up(place: Ground, owner: str) -> ApiUser:
    """Somebody who owns schedules, and is told of them."""
    user = place.user(owner)
    user.post("/webhooks", {"url": f"{place.receiver.url}/events/{owner}", "events": HEARS})
    return user


def _break_while_due(place: Ground, trial: Trial, maker: Maker, troublemaker: Troublemaker) -> datetime:
    """Have everything made and due, and broken meanwhile; when the last is due."""
    dice = troublemaker.dice
    window = window_from(datetime.now(UTC) + timedelta(seconds=trial.ready), trial.seconds)
    planned = list(plans(window, dice, due_times=trial.due_times, url=place.receiver.url))
    soon = window.start + max(LEAD, timedelta(seconds=trial.seconds / 10))
    maker.make_all(plan for plan in planned if plan.first < soon)
    # The rest is made while things break.
    rest = [
        (plan.first.timestamp() - dice.uniform(*AHEAD_SECONDS), plan)
        for plan in planned
        if plan.first >= soon
    ]
    start = window.start.timestamp()
    with ThreadPoolExecutor(1) as beside:
        making = beside.submit(maker.make_all, _paced(rest))
        # By dice of their own: how often those of the plans fell depends on the minute in which it begins.
        faults = random.Random(trial.seed)
        troublemaker.work(moments(faults, start=start, seconds=trial.seconds, number=trial.faults))
        making.result()
    return window.end


def _paced(plans: Sequence[tuple[float, Planned]]) -> Iterator[Planned]:
    """Each plan once its moment has come, in seconds since 1970."""
    for moment, plan in sorted(plans, key=itemgetter(0)):
        time.sleep(max(moment - time.time(), 0))
        yield plan


def _wait_for_the_end(place: Ground, end: datetime) -> dict[str, list[Any]]:
    """Wait until all has come to its end and everybody has been told; what is left after much patience."""
    time.sleep(max((end - datetime.now(UTC)).total_seconds() + 4, 0))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        left = {what: place.database.ask(query) for what, query in STILL_OPEN.items()}
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.2)
