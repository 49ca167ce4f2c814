"""Every due time has its run and its verdict, whatever is killed: a short trial, and a long one."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.ledger.delays import UNEXPLAINED
from tests.e2e.ledger.faults import kinds_within, moments
from tests.e2e.ledger.judgement import FAR_FROM_BOTH, PROMISED, Judgement, Limits
from tests.e2e.ledger.playing import LONG, SHORT, Trial, play

pytestmark = pytest.mark.e2e


# A machine that is busy with other tests may keep a worker from its lease for so long that it runs out.
FEW = 2
# What is told as "… killed".
KILLS = ("scheduler", "worker", "horse", "web", "web child", "restart Redis", "crash the database")


def check(judgement: Judgement, trial: Trial, limits: Limits) -> None:
    borne = {UNEXPLAINED} if limits is FAR_FROM_BOTH and judgement.figures["unexplained"] <= FEW else set()
    assert {what: found for what, found in judgement.wrong.items() if what not in borne} == {}
    assert judgement.broken(limits) == []
    figures = judgement.figures
    # Most was created in time, also on a slow machine, and all was broken that was to be.
    assert figures["due"] == figures["runs"] >= trial.due_times / 2
    assert len(judgement.faults) >= trial.faults
    assert len({fault.kind for fault in judgement.faults}) == len(kinds_within(trial.seconds))
    assert figures["completed"] >= figures["due"] / 2
    # Somebody did listen to what Redis was given.
    assert figures["pushed"] >= figures["due"] / 2
    # What comes while another is at work is skipped, or takes its place, as asked for.
    least = 20 if trial.seconds >= LONG.seconds else 1
    assert figures.get("skipped_overlap", 0) >= least
    assert figures.get("cancelled_overlap", 0) >= least
    # What processes say is listened to.
    assert figures["warnings"] > 0


def test_half_a_minute_of_kills_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    check(play(tmp_path, SHORT), SHORT, FAR_FROM_BOTH)


@pytest.mark.parametrize("seed", [1, 4])
def test_the_long_trial_kills_two_hundred_times_whenever_it_is_played(seed: int) -> None:
    planned = moments(random.Random(seed), start=0, seconds=LONG.seconds, number=LONG.faults)
    assert sum(kind in KILLS for _, kind in planned) >= 200


@pytest.mark.soak
@pytest.mark.parametrize("threads", [1, 4])
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, threads: int) -> None:
    # Each by dice of its own.
    trial = replace(LONG, threads=threads, seed=threads)
    judgement = play(tmp_path, trial)
    check(judgement, trial, PROMISED)
    assert judgement.figures["due"] >= 10_000
    assert sum("killed" in fault.kind for fault in judgement.faults) >= 200
    # What is promised was not kept for want of an occasion.
    occasions = (
        *("taken_up", "waited", "beside_a_killed_scheduler", "handed"),
        *("lost_by_who_was_stopped", "unanswered"),
    )
    assert [occasion for occasion in occasions if judgement.figures[occasion] < 1] == []
