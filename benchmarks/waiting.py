"""Runs whose action only waits for somebody else's answer, one at a time and in the threads of a worker."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from flask import Flask

from benchmarks.processes import BIN, environment, running, wait_until
from benchmarks.queue_seed import add_schedules, dispatch_all
from benchmarks.results import ratio, table
from taskapi.background.enqueue import count_workers
from tests.e2e.ledger.receiver import Receiver, receiving

CALL_SECONDS, THREADS, LONG = 0.1, 10, 300.0
Rates = dict[int, list[float]]


def measure_waiting(app: Flask, *, rounds: int, number: int) -> tuple[str, Rates]:
    """Calls a second of one worker, by how many it makes at a time: a table, and the rate of each round.

    Args:
        number: how many calls are made at a time of one; of many as many more.
    """
    rates: Rates = {1: [], THREADS: []}
    with receiving() as receiver:
        for place in range(rounds):
            for threads in (1, THREADS) if place % 2 == 0 else (THREADS, 1):
                rate = _calls_a_second(app, receiver, threads, number * threads)
                click.echo(f"calls, {threads} at a time: {rate:.1f} a second", err=True)
                rates[threads].append(rate)
    rows = [
        (threads, f"{sorted(each)[len(each) // 2]:.1f}", ratio(each, rates[1]) if threads > 1 else "")
        for threads, each in rates.items()
    ]
    return table(("one worker, calls at a time", "calls/s", "so many times one at a time"), rows), rates


def _calls_a_second(app: Flask, receiver: Receiver, threads: int, number: int) -> float:
    """From the tenth part of the calls on to the last."""
    receiver.calls.clear()
    with _worker(app, threads):
        params = {"url": f"{receiver.url}/slow/{CALL_SECONDS}"}
        add_schedules(app, number, first=time.time() - 5, action="webhook", params=params)
        dispatch_all(app)
        wait_until(lambda: len(receiver.calls) >= number, seconds=LONG, pause=0.05)
    called = sorted(call.at for each in receiver.calls.values() for call in each)
    assert len(called) == number, "each is called once"
    first = number // 10
    return (number - 1 - first) / (called[-1] - called[first])


@contextmanager
def _worker(app: Flask, threads: int) -> Iterator[None]:
    """One worker, once it is ready: what is queued goes to threads only where there are some."""
    settings = {"WEBHOOK_ALLOW_PRIVATE": "1", "USER_RUNS_AT_ONCE": "100000"}
    folder: Path = app.extensions["taskapi_settings"].data_dir

    def lives() -> bool:
        with app.app_context():
            return bool(count_workers())

    command = (BIN / "flask", "worker", "--threads", str(threads))
    with running(command, environment(app, **settings), folder / "waiting.out"):
        wait_until(lives)
        yield
