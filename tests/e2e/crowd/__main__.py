"""The ten minutes in figures: ``python -m tests.e2e.crowd``."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import StatisticsError

import click

from tests.e2e.crowd.floors import shortfalls
from tests.e2e.crowd.judging import Point
from tests.e2e.crowd.trial import LONG, Outcome, play


@click.command()
@click.option("--people", default=LONG.people)
@click.option("--listening", default=LONG.listening)
@click.option("--seconds", default=LONG.seconds)
@click.option("--due-each-second", default=LONG.due_each_second)
def command(people: int, listening: int, seconds: int, due_each_second: int) -> None:
    """Play it once, and tell what was found."""
    size = replace(LONG, people=people, listening=listening, seconds=seconds, due_each_second=due_each_second)
    with tempfile.TemporaryDirectory(prefix="taskapi-crowd-") as folder:
        _tell(play(Path(folder), size))


def _tell(outcome: Outcome) -> None:
    kinds = Counter(answer.what for answer in outcome.answers)
    found = outcome.measured()
    click.echo(f"too little: {list(shortfalls(found, LONG.floors))}; {outcome.report}")
    click.echo(f"outside of the faults 99 of 100 answers took {found.p99:.2f} s at most")
    click.echo(f"answers: {len(outcome.answers)}, {dict(kinds)}; errors: {dict(outcome.errors())}")
    click.echo(f"damaged: {outcome.damaged}; heard: {outcome.heard}; misheard: {outcome.misheard[:3]}")
    click.echo(f"due: {outcome.due}; runs: {dict(outcome.runs)}; {outcome.lateness}")
    click.echo(
        f"post: {outcome.post.figures}, wrong: {outcome.post.wrong}; jobs left: {outcome.jobs_left[:3]}"
    )
    click.echo(f"ended: {outcome.ended_processes}")
    click.echo(f"errors that no fault explains: {len(outcome.unexplained_errors)}")
    click.echo("\n".join(outcome.unexplained_errors[:3]))
    for name, points in outcome.samples.memory.items():
        click.echo(f"{name}: {points[-1][1]:.0f} MiB, {outcome.growth(points):+.1f} %")
    most = max(used for _, used in outcome.samples.used)
    click.echo(
        f"Redis: {most / 2**20:.1f} MiB at most,"
        f" of queues {outcome.bytes_of_queues / 2**10:.1f} KiB in the end;"
        f" of others {_growth(outcome, outcome.samples.keys)} keys and"
        f" {_growth(outcome, outcome.samples.bytes)} bytes"
    )


def _growth(outcome: Outcome, points: Sequence[Point]) -> str:
    try:
        return f"{outcome.growth_after_faults(points):+.1f} %"
    except StatisticsError:
        return "too short a time for"


if __name__ == "__main__":
    command()
