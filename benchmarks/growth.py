"""The same calls with ten thousand runs and with a million: ``python -m benchmarks.growth [--quick]``.

``--most 10000000`` goes further. Times are medians of 40 requests, first page and a cursor that lies
10,000 pages deep (or as deep as there are runs); and of deleting old runs, which is done in batches.
"""

import statistics
import time
from collections.abc import Sequence

import click
import sqlalchemy as sa
from flask import Flask

from benchmarks.drawing import picture
from benchmarks.history import seed
from benchmarks.installation import installation
from benchmarks.measuring import REQUESTS
from benchmarks.processes import ROOT
from benchmarks.results import save, table
from taskapi.core.db import db
from taskapi.core.paging import MAX_PAGE
from taskapi.schedules.retention import forget_old_runs
from tests.people import Person

SIZES = (10_000, 100_000, 1_000_000)
QUICK = (1_000, 4_000)
DEEP = 10_000
PICTURE = ROOT / "docs" / "images" / "growth.svg"
# Old enough for the default retention of 90 days.
AGE = """
UPDATE runs SET created_at = created_at - interval '400 days', finished_at = finished_at - interval '400 days'
WHERE id IN (SELECT id FROM runs LIMIT 20000)
"""
Figures = dict[str, float]


def median_time(person: Person, address: str) -> float:
    """Milliseconds of the middle one of the answers."""
    times = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        answer = person.get(address)
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    return statistics.median(times)


def measure(runs: int) -> Figures:
    """Milliseconds of each call with so many runs."""
    with installation() as app:
        person = seed(app, runs)["admin"]
        page = min(DEEP, runs // 2, MAX_PAGE)
        cursor = person.get(f"/api/runs?per_page=1&page={page}").json["next_cursor"]
        return {
            "first page": median_time(person, "/api/runs"),
            "deep cursor": median_time(person, f"/api/runs?cursor={cursor}"),
            "longest statement of retention": longest_of_retention(app),
        }


def longest_of_retention(app: Flask) -> float:
    """Milliseconds of the longest statement while old runs are deleted: no lock is held for longer."""
    times: list[float] = [0.0]
    begun = 0.0

    def start(*_arguments: object) -> None:
        nonlocal begun
        begun = time.perf_counter()

    def end(*_arguments: object) -> None:
        times.append((time.perf_counter() - begun) * 1000)

    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(AGE)
        sa.event.listen(db.engine, "before_cursor_execute", start)
        sa.event.listen(db.engine, "after_cursor_execute", end)
        forget_old_runs()
    return max(times)


@click.command()
@click.option("--quick", is_flag=True, help="Few runs: only to see that it works.")
@click.option("--most", type=int, help="One size more, such as 10000000.")
def command(quick: bool, most: int | None) -> None:
    """Measure, print the table, keep it, and draw the picture."""
    sizes: Sequence[int] = QUICK if quick else SIZES + ((most,) if most else ())
    figures = {size: measure(size) for size in sizes}
    names = list(figures[sizes[0]])
    rows = [(name, *(f"{figures[size][name]:.1f}" for size in sizes)) for name in names]
    save("growth", {"Median, ms": table(("call", *(f"{size:,} runs" for size in sizes)), rows)}, figures)
    if not quick:
        lines = {name: [(size, figures[size][name]) for size in sizes] for name in names[:2]}
        PICTURE.write_text(picture("Time of a page against the number of runs", "runs", lines))


if __name__ == "__main__":
    command()
