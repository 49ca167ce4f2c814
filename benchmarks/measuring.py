"""How long answers take."""

import statistics
import time

from tests.people import Person

REQUESTS = 40


def percentile(person: Person, address: str) -> float:
    """The 95th percentile of the milliseconds that the answers take."""
    times = []
    for _ in range(REQUESTS + 5):
        begun = time.perf_counter()
        answer = person.get(address)
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    # The first ones prepare statements.
    return statistics.quantiles(times[5:], n=20)[-1]
