"""Every due time has its run and its verdict, whatever is killed: a short trial, and a long one."""

from pathlib import Path

import pytest

from tests.e2e.ledger.judging import Judgement
from tests.e2e.ledger.playing import LONG, SHORT, Trial, play

pytestmark = pytest.mark.e2e


def check(judgement: Judgement, trial: Trial) -> None:
    assert judgement.wrong == {}
    figures = judgement.figures
    # Most was created in time, also on a slow machine, and most that was to be broken was.
    assert figures["due"] == figures["runs"] >= trial.due_times / 2
    assert len(judgement.faults) >= trial.faults / 2
    assert figures["completed"] >= figures["due"] / 2


def test_half_a_minute_of_kills_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    check(play(tmp_path, SHORT), SHORT)


@pytest.mark.soak
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    judgement = play(tmp_path, LONG)
    check(judgement, LONG)
    assert judgement.figures["due"] >= 10_000
    assert sum("killed" in fault.kind for fault in judgement.faults) >= 200
    assert judgement.figures["taken_up"] >= 1
    assert judgement.figures["taken_up_last"] <= 30
    assert judgement.figures["beside_a_killed_scheduler"] >= 1
    assert judgement.figures["made_late"] <= 3
