"""How late work was made and begun while people were there, and how much of it was done by when they left."""

import statistics
from dataclasses import dataclass

from benchmarks.results import quantile
from tests.e2e.ledger.ground import Database

LAGS = """
    SELECT extract(epoch FROM created_at - due_at)::float8,
        extract(epoch FROM first_started_at - due_at)::float8,
        extract(epoch FROM finished_at)::float8
    FROM runs
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Seconds from the moment at which a run was due, over all runs.

    Attributes:
        made_p99: to its row, and likewise ``made_last``.
        begun_p50: to its first attempt, and likewise ``begun_p99``; infinite of what never began.
        done_with_people: how many runs had ended when the people left.
    """

    made_p99: float
    made_last: float
    begun_p50: float
    begun_p99: float
    done_with_people: int


def lateness(database: Database, *, people_left: float) -> Lateness:
    """That of all runs that are there."""
    rows = database.ask(LAGS)
    never = float("inf")
    made = [made_after for made_after, _, _ in rows]
    begun = [never if begun_after is None else begun_after for _, begun_after, _ in rows]
    return Lateness(
        made_p99=quantile(sorted(made), 0.99),
        made_last=max(made),
        begun_p50=statistics.median(begun),
        begun_p99=quantile(sorted(begun), 0.99),
        done_with_people=sum(ended is not None and ended <= people_left for _, _, ended in rows),
    )
