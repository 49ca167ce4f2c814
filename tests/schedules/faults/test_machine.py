"""Whatever people, processes and faults do, in any order: each due time has one run, and each run one end."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.machine import Machine

FEW = settings(
    derandomize=True,
    max_examples=6,
    stateful_step_count=18,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, derandomize=False, max_examples=400, stateful_step_count=40, print_blob=True)


def in_worlds(fresh: Fresh) -> type[Machine]:
    """The machine, each time in a world of its own."""

    class InWorlds(Machine):
        def __init__(self) -> None:
            super().__init__(fresh)

    return InWorlds


def test_the_ledger_is_right_whatever_happens(fresh: Fresh) -> None:
    run_state_machine_as_test(in_worlds(fresh), settings=FEW)


@pytest.mark.soak
def test_the_ledger_is_right_whatever_happens_for_long(fresh: Fresh) -> None:
    run_state_machine_as_test(in_worlds(fresh), settings=MANY)
