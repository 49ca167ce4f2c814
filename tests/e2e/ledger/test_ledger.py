"""Every due time has its run and its verdict, whatever is killed: a short trial, and a long one."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.ledger.delays import UNEXPLAINED
from tests.e2e.ledger.demands import KILLS, lacking
from tests.e2e.ledger.faults import moments
from tests.e2e.ledger.judgement import FAR_FROM_BOTH, PROMISED, Judgement, Limits
from tests.e2e.ledger.playing import LONG, SHORT, Trial, play

pytestmark = pytest.mark.e2e


# A machine that is busy with other tests may keep a worker from its lease for so long that it runs out.
FEW = 2
# What is told as "… killed".
KILLING = ("scheduler", "worker", "horse", "web", "web child", "restart Redis", "crash the database")


def check(judgement: Judgement, trial: Trial, limits: Limits) -> None:
    borne = {UNEXPLAINED} if limits is FAR_FROM_BOTH and judgement.figures["unexplained"] <= FEW else set()
    assert {what: found for what, found in judgement.wrong.items() if what not in borne} == {}
    assert judgement.broken(limits) == []
    assert lacking(judgement, trial) == []
    assert judgement.figures["due"] == judgement.figures["runs"]


def test_half_a_minute_of_kills_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    check(play(tmp_path, SHORT), SHORT, FAR_FROM_BOTH)


@pytest.mark.parametrize("seed", [1, 4])
def test_the_long_trial_kills_two_hundred_times_whenever_it_is_played(seed: int) -> None:
    planned = moments(random.Random(seed), start=0, seconds=LONG.seconds, number=LONG.faults)
    assert sum(kind in KILLING for _, kind in planned) >= KILLS


@pytest.mark.soak
@pytest.mark.parametrize("threads", [1, 4])
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, threads: int) -> None:
    # Each by dice of its own.
    trial = replace(LONG, threads=threads, seed=threads)
    check(play(tmp_path, trial), trial, PROMISED)
