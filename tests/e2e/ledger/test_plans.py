"""What is planned has some of everything, for each owner."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.e2e.ledger.plans import OWNERS, Planned, is_hopeless, plans, window_from
from tests.e2e.ledger.playing import LONG, SHORT, Trial

pytestmark = pytest.mark.e2e
TRIGGERS = ("run_at", "every", "cron", "rrule")


def planned(trial: Trial) -> list[Planned]:
    window = window_from(datetime(2027, 4, 1, 12, 0, tzinfo=UTC), trial.seconds)
    dice = random.Random(trial.seed)
    return list(plans(window, dice, due_times=trial.due_times, url="http://127.0.0.1:1"))


def test_each_owner_has_a_share_of_the_due_times_and_schedules_of_every_trigger() -> None:
    made = planned(LONG)
    due = Counter[str]()
    for plan in made:
        due[plan.owner] += len(plan.due)
    assert due.keys() == set(OWNERS)
    assert max(due.values()) < 2 * LONG.due_times / len(OWNERS)
    kinds = {(plan.owner, trigger) for plan in made for trigger in TRIGGERS if trigger in plan.body}
    assert len(kinds) == len(OWNERS) * len(TRIGGERS)


def test_a_few_are_refused_each_time_of_many_owners_and_triggers_and_some_of_it_is_told() -> None:
    made = planned(LONG)
    refused = [plan for plan in made if is_hopeless(plan.body)]
    assert 0.01 <= len(refused) / len(made) <= 0.03
    assert {plan.owner for plan in refused} == set(OWNERS)
    assert {trigger for plan in refused for trigger in TRIGGERS if trigger in plan.body} == set(TRIGGERS)
    assert {tuple(plan.body["notify"]) for plan in refused} >= {(), ("failed",)}
    assert {plan.body["retry"]["max_attempts"] for plan in refused} == {2}


def test_a_short_trial_has_one_that_is_refused_as_well_and_tells_of_it() -> None:
    refused = [plan for plan in planned(SHORT) if is_hopeless(plan.body)]
    assert any("failed" in plan.body["notify"] and len(plan.due) > 1 for plan in refused)
