"""The long trial: ``python -m tests.e2e.ledger [--write]``, which puts it into ``docs/guarantees.md``."""

import sys
import tempfile
from pathlib import Path

import click

from benchmarks.report import replaced
from benchmarks.results import machine
from tests.e2e.ledger.demands import is_long, lacking
from tests.e2e.ledger.judgement import PROMISED
from tests.e2e.ledger.playing import LONG, Trial, play
from tests.e2e.ledger.report import picture, report

DOCS = Path(__file__).parents[3] / "docs"
PICTURE = "images/ledger.svg"
SHOWS = "Lines: how late runs were made and begun; below them, when what was killed"


@click.command()
@click.option("--seed", default=LONG.seed)
@click.option("--seconds", default=LONG.seconds)
@click.option("--due-times", default=LONG.due_times)
@click.option("--faults", default=LONG.faults)
@click.option("--threads", default=LONG.threads)
@click.option("--write", is_flag=True, help="Put it into docs/guarantees.md, if all was kept and tried.")
def command(seed: int, seconds: int, due_times: int, faults: int, threads: int, *, write: bool) -> None:
    """Play one trial, and tell what was found; fail if anything is wrong, late or was not tried."""
    trial = Trial(
        seed=seed, seconds=seconds, due_times=due_times, faults=faults, ready=LONG.ready, threads=threads
    )
    if write and not is_long(trial):
        raise click.UsageError(f"what is published takes {LONG.seconds} s at least")
    with tempfile.TemporaryDirectory(prefix="taskapi-ledger-") as folder:
        judgement = play(Path(folder), trial)
    text = report(trial, judgement, machine())
    click.echo(text)
    is_kept = not (judgement.wrong or judgement.broken(PROMISED) or lacking(judgement, trial))
    if write and is_kept:
        (DOCS / PICTURE).write_text(picture(judgement))
        page = DOCS / "guarantees.md"
        page.write_text(replaced(page.read_text(), "ledger", f"![{SHOWS}]({PICTURE})\n\n{text}"))
    sys.exit(not is_kept)


if __name__ == "__main__":
    command()
