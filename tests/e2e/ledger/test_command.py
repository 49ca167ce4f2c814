"""The command fails by each limit and each demand, and publishes nothing but a long trial that met all."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.e2e.ledger import __main__ as command_line
from tests.e2e.ledger.books import Books
from tests.e2e.ledger.delays import look_at_delays
from tests.e2e.ledger.demands import MET, OCCASIONS, lacking
from tests.e2e.ledger.faults import Fault, kinds_within
from tests.e2e.ledger.judgement import FAR_FROM_BOTH, PROMISED, Judgement
from tests.e2e.ledger.made_up import START, run
from tests.e2e.ledger.playing import LONG, SHORT

pytestmark = pytest.mark.e2e

PAGE = "Before.\n\n<!-- ledger: begin -->\n\nold\n\n<!-- ledger: end -->\n\nAfter.\n"
KEPT = {
    "lost": 0.0,
    "doubled": 0.0,
    "taken_up_last": 29.0,
    "waited_last": 29.0,
    "made_late": 2.9,
    "handed_late": 2.9,
    "began_last": 140.0,
}
TOO_MUCH = {
    "lost": 1.0,
    "doubled": 1.0,
    "taken_up_last": 30.5,
    "waited_last": 30.5,
    "made_late": 3.5,
    "handed_late": 13.0,
    "began_last": 151.0,
}
TRIED = {
    "due": 10_000.0,
    "runs": 10_000.0,
    "completed": 9_000.0,
    "pushed": 9_000.0,
    "warnings": 9.0,
    **dict.fromkeys((*MET, *OCCASIONS), 20.0),
}


def judged(kills: int = 250, others: int = 30, /, **figures: float) -> Judgement:
    """A long trial that all is well with, but for some figures."""
    runs = [run("call")]
    found = Judgement(runs, faults(kills, others))
    look_at_delays(found, Books(made={}, runs=runs))
    found.count(owners=11, schedules=1, **KEPT | TRIED | figures)
    return found


def faults(kills: int, others: int) -> list[Fault]:
    kinds = [f"{kind} killed" for kind in kinds_within(LONG.seconds)]
    killed = list(itertools.islice(itertools.cycle(kinds), kills))
    return [Fault(kind, START.timestamp(), START.timestamp() + 1) for kind in killed + ["hurt"] * others]


Published = Callable[..., tuple[Result, bool]]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """What the command answers to a trial, and whether it was put into the page."""

    def invoke(found: Judgement, *options: str) -> tuple[Result, bool]:
        page = tmp_path / "guarantees.md"
        page.write_text(PAGE)
        (tmp_path / "images").mkdir(exist_ok=True)
        monkeypatch.setattr(command_line, "play", lambda _folder, _trial: found)
        monkeypatch.setattr(command_line, "DOCS", tmp_path)
        answer = CliRunner().invoke(command_line.command, options)
        return answer, page.read_text() != PAGE

    return invoke


@pytest.mark.parametrize("name", list(PROMISED.words()))
def test_each_limit_that_is_broken_fails_the_command_and_is_told(name: str, published: Published) -> None:
    answer, is_published = published(judged(**{name: TOO_MUCH[name]}), "--write")
    assert answer.exit_code == 1
    assert f"**broken**: {PROMISED.words()[name]}, but found" in answer.output
    assert not is_published


def test_what_keeps_all_limits_and_was_tried_succeeds(published: Published) -> None:
    answer, is_published = published(judged())
    assert (answer.exit_code, is_published) == (0, False)
    assert "Kept: " in answer.output


def test_what_is_wrong_fails_the_command_and_is_told(published: Published) -> None:
    found = judged()
    found.blame("mails that were not sent", ["a mail"])
    answer, is_published = published(found, "--write")
    assert answer.exit_code == 1
    assert "**wrong**: mails that were not sent: 1, such as a mail" in answer.output
    assert not is_published


def test_what_was_not_measured_is_told_with_its_reason(published: Published) -> None:
    left_out = {"had_to_wait": 1.0, "waited_for_servers": 2.0}
    left_out |= {"beside_more_than_that": 4.0, "handed_behind": 5.0, "handed_crowded": 6.0}
    answer, _ = published(judged(**left_out))
    for words in (
        "left out: 1 without a scheduler, a worker or Redis meanwhile",
        "left out: 2 without a scheduler, a worker or Redis meanwhile",
        "left out: 4 as more was broken",
        "left out: 5 as they were over at once or behind another of their schedule, 6 as their owner had 150",
    ):
        assert words in answer.output


def test_what_was_kept_and_tried_is_published(published: Published) -> None:
    answer, is_published = published(judged(), "--write")
    assert (answer.exit_code, is_published) == (0, True)


@pytest.mark.parametrize(
    "found",
    [
        *(judged(**{name: 0.0}) for name in (*MET, *OCCASIONS)),
        *(judged(**{name: 1.0}) for name in ("completed", "pushed")),
        judged(warnings=0.0),
        judged(due=9_999.0),
        judged(199, 100),
        judged(200, 0),
        judged(17, 270),
    ],
)
def test_what_was_not_tried_fails_the_command_and_is_not_published(
    found: Judgement, published: Published
) -> None:
    (words,) = lacking(found, LONG)[:1]
    answer, is_published = published(found, "--write")
    assert (answer.exit_code, is_published) == (1, False)
    assert f"**lacking**: {words}" in answer.output


def test_a_short_trial_is_judged_and_never_published(published: Published) -> None:
    short = ("--seconds", "120", "--due-times", "1200", "--faults", "28")
    few = judged(28, due=1_200.0, completed=1_100.0, **dict.fromkeys(OCCASIONS, 0.0))
    answer, _ = published(few, *short)
    assert answer.exit_code == 0, answer.output
    answer, is_published = published(few, *short, "--write")
    assert (answer.exit_code, is_published) == (2, False)


def test_a_busy_machine_breaks_no_limit_of_the_short_trial_but_a_loss_does() -> None:
    slow = judged(taken_up_last=60, made_late=15, handed_late=15)
    assert slow.broken(FAR_FROM_BOTH) == []
    assert judged(lost=1).broken(FAR_FROM_BOTH) != []


def test_the_short_trial_needs_no_more_than_what_fits_into_it() -> None:
    kinds = [Fault(kind, 0, 0) for kind in kinds_within(SHORT.seconds)]
    found = Judgement([], kinds)
    found.count(due=200, completed=100, pushed=100, warnings=1, **dict.fromkeys(MET, 1))
    assert lacking(found, SHORT) == []
    assert lacking(Judgement([], kinds[1:], figures=found.figures), SHORT) != []
