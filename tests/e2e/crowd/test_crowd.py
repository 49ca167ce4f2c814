"""Two hundred people and fifty due times a second: nobody meets an error, and nothing grows."""

from pathlib import Path

import pytest

from tests.e2e.crowd.floors import shortfalls
from tests.e2e.crowd.reporting import TASKS, Report
from tests.e2e.crowd.trial import LONG, MAILS_ONE_IN, SHORT, Outcome, play

pytestmark = pytest.mark.e2e

# However busy workers are, each due time has its run at once.
MADE_WITHIN_SECONDS = 3.0
# Beside other tests.
MADE_WITHIN_SECONDS_ON_A_BUSY_MACHINE = 20.0
# The names of queues and workers.
BYTES_OF_QUEUES_AT_REST = 100_000


def check(outcome: Outcome, *, made_within: float) -> None:
    assert list(shortfalls(outcome.measured(), outcome.size.floors)) == []
    # One report more.
    assert outcome.runs == {"completed": outcome.due + 1}
    assert outcome.lateness.made_p99 <= made_within
    assert outcome.ended_processes == []
    assert outcome.unexplained_errors == []
    assert outcome.damaged == 0
    # Each listener heard all of their own, whatever broke and however often they were away.
    assert outcome.misheard == []
    assert outcome.heard > 0
    # Each reminder came, maybe twice; ``messages_again`` says how many did.
    assert outcome.post.wrong == {}
    assert outcome.post.figures["reminders"] == outcome.due / MAILS_ONE_IN
    # Without work Redis holds nothing of it.
    assert outcome.jobs_left == []
    assert outcome.bytes_of_queues < BYTES_OF_QUEUES_AT_REST
    # What the page on operations says of each fault: on a full disk uploads have no room, and reports, whose
    # runs wait for their next attempt; and that is all.
    assert outcome.report == Report(put_off="storage_full", status="completed", tasks=TASKS)
    assert {error for error in outcome.errors() if error[:2] != ("disk full", "upload")} == set()
    assert {status for fault, what, status in outcome.errors() if what == "upload"} <= {507}
    refused = {answer.status for answer in outcome.answers if answer.status >= 400}
    assert refused <= {507}


def test_some_seconds_of_work_with_faults_in_the_middle(tmp_path: Path) -> None:
    outcome = play(tmp_path, SHORT)
    check(outcome, made_within=MADE_WITHIN_SECONDS_ON_A_BUSY_MACHINE)
    # It was felt that Redis was away.
    assert "redis.away" in outcome.warned_of


@pytest.mark.soak
def test_ten_minutes_of_work_with_faults_in_the_middle(tmp_path: Path) -> None:
    outcome = play(tmp_path, LONG)
    check(outcome, made_within=MADE_WITHIN_SECONDS)
    assert min(outcome.returns) > 0
    assert outcome.errors()["disk full", "upload", 507] > 0
    grown = {name: outcome.growth(points) for name, points in outcome.samples.memory.items()}
    assert {name: growth for name, growth in grown.items() if growth > 5} == {}
    assert outcome.growth_after_faults(outcome.samples.keys) < 5
    assert outcome.growth_after_faults(outcome.samples.bytes) < 5
