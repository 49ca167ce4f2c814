"""Every due time has its run and its verdict, whatever is killed: a short trial, and a long one."""

from pathlib import Path

import pytest

from tests.e2e.ledger.judging import Judgement
from tests.e2e.ledger.playing import LONG, SHORT, Trial, play

pytestmark = pytest.mark.e2e


def check(judgement: Judgement, trial: Trial) -> None:
    assert judgement.wrong == {}
    figures = judgement.figures
    # Nearly all was created in time, and nearly all that was to be broken was.
    assert figures["due"] == figures["runs"] >= 0.9 * trial.due_times
    assert len(judgement.faults) >= 0.7 * trial.faults
    assert figures["completed"] >= figures["due"] / 2


def test_half_a_minute_of_kills_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    check(play(tmp_path, SHORT), SHORT)


@pytest.mark.soak
def test_ten_minutes_of_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    judgement = play(tmp_path, LONG)
    check(judgement, LONG)
    assert judgement.figures["taken_up"] >= 1
    assert judgement.figures["taken_up_last"] <= 30
    assert judgement.figures["beside_a_killed_scheduler"] >= 1
    assert judgement.figures["made_late"] <= 3
