"""What the application has counted while a test ran: the files in which it counts outlive each test."""

from collections.abc import Callable

from flask import Flask

from taskapi.core.runtime import runtime_settings
from taskapi.core.tally_files import Key, read_tallies

Growth = Callable[[], dict[Key, float]]


def since_now(app: Flask, name: str) -> Growth:
    """Tells by how much a figure, or a histogram's count, has grown since, by the values of its labels."""
    before = _sums(app, name)

    def growth() -> dict[Key, float]:
        grown = {key: value - before.get(key, 0.0) for key, value in _sums(app, name).items()}
        return {key: value for key, value in grown.items() if value}

    return growth


def _sums(app: Flask, name: str) -> dict[Key, float]:
    with app.app_context():
        directory = runtime_settings().data_dir / "metrics"
    sums: dict[Key, float] = {}
    for tally in read_tallies(directory):
        for (found, *labels), numbers in tally.counted.items():
            if found == name:
                # A histogram ends with the sum of its values.
                amount = sum(numbers[:-1]) if len(numbers) > 1 else numbers[0]
                sums[tuple(labels)] = sums.get(tuple(labels), 0.0) + amount
    return sums
