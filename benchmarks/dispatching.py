"""How fast due times become runs, with few schedules stored and with very many."""

import time
from collections.abc import Sequence

import click
from flask import Flask

from benchmarks.queue_seed import add_schedules, dispatch_all, tidy
from benchmarks.results import quantile, table
from taskapi.background.connection import redis_client
from taskapi.core.db import transaction
from taskapi.schedules.engine.due import claim_due

CLAIM, CLAIMS = 500, 200
YEAR = 365 * 86_400


class _Undone(Exception):
    """Takes a transaction back."""


def claim_times(app: Flask) -> list[float]:
    """Milliseconds of claiming so many due schedules, in order; none of it is kept."""
    times = []
    with app.app_context():
        for _ in range(CLAIMS):
            try:
                with transaction():
                    begun = time.perf_counter()
                    claim_due(CLAIM)
                    times.append((time.perf_counter() - begun) * 1000)
                    raise _Undone
            except _Undone:
                continue
    return sorted(times)


def dispatch_rate(app: Flask, number: int) -> float:
    """Due times a second that become runs and lie in the queue."""
    begun = time.perf_counter()
    dispatch_all(app)
    return number / (time.perf_counter() - begun)


def measure_dispatch(app: Flask, stored: Sequence[int], due: int) -> tuple[str, list[dict[str, float]]]:
    """The table of all sizes, and its figures."""
    figures: list[dict[str, float]] = []
    there = 0
    for number in stored:
        add_schedules(app, number - there, first=time.time() + YEAR, step=1.0)
        there = number
        add_schedules(app, due, first=time.time() - 5)
        tidy(app)
        claims = claim_times(app)
        rate = dispatch_rate(app, due)
        with app.app_context():
            redis_client().flushdb()
        figures.append(
            {"stored": number, "rate": rate, "p50": quantile(claims, 0.5), "p99": quantile(claims, 0.99)}
        )
        click.echo(f"{number:>9,} stored: {rate:,.0f} due times/s", err=True)
    rows = [
        (f"{one['stored']:,.0f}", f"{one['rate']:,.0f}", f"{one['p50']:.1f} / {one['p99']:.1f}")
        for one in figures
    ]
    head = ("schedules stored", "due times/s", f"claim of {CLAIM}, p50 / p99, ms")
    return table(head, rows), figures
