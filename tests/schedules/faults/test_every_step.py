"""Something goes wrong at each step in turn, and afterwards the ledger is right."""

from collections.abc import Mapping

import pytest
from flask import Flask

from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.ledger import check, is_quiet
from tests.schedules.faults.scenario import Phase, Scenario
from tests.schedules.faults.wrappers import Fault, Kind, Mode, Played

# So many steps of a kind has a phase at least: else it has found a way around the wrappers.
LEAST: dict[Phase, dict[Kind, int]] = {
    Phase.RESCUE: {Kind.STATEMENT: 15, Kind.COMMIT: 3, Kind.REDIS: 4},
    Phase.DISPATCH: {Kind.STATEMENT: 6, Kind.COMMIT: 1, Kind.REDIS: 1},
    Phase.WORK: {Kind.STATEMENT: 20, Kind.COMMIT: 4, Kind.REDIS: 15, Kind.CALL: 1},
    Phase.AGAIN: {Kind.STATEMENT: 4, Kind.COMMIT: 1, Kind.REDIS: 1},
    Phase.RELAY: {Kind.STATEMENT: 15, Kind.COMMIT: 1, Kind.REDIS: 2},
    Phase.WEBHOOKS: {Kind.STATEMENT: 20, Kind.COMMIT: 8, Kind.REDIS: 4, Kind.CALL: 7},
    Phase.MAIL: {Kind.STATEMENT: 2, Kind.COMMIT: 2, Kind.REDIS: 5, Kind.MAIL: 4},
}
# What PostgreSQL keeps prepared has a way of its own; SQLite has no connection to break.
LEAST_ON_POSTGRESQL: dict[Phase, dict[Kind, int]] = {
    Phase.RESCUE: {Kind.ROLLBACK: 3},
    Phase.DISPATCH: {Kind.ROLLBACK: 1},
    Phase.WORK: {Kind.PREPARED: 7},
    Phase.AGAIN: {Kind.ROLLBACK: 1},
    Phase.RELAY: {Kind.ROLLBACK: 1},
    Phase.WEBHOOKS: {Kind.ROLLBACK: 1},
    Phase.MAIL: {},
}
PLAYS = 6
# Has no divisor in common with most numbers of steps.
STRIDE = 11


def play(fresh: Fresh, faults: Mapping[Phase, Fault]) -> dict[Phase, Played]:
    """Play all phases, with these faults in them, and compare what came of it with what should."""
    scenario = Scenario(fresh())
    scenario.prepare()
    played = {phase: scenario.play(phase, faults.get(phase)) for phase in Phase}
    scenario.heal(lambda: is_quiet(scenario.world.app))
    try:
        check(scenario, mails_may_come_twice=may_mail_twice(faults.get(Phase.MAIL), played[Phase.MAIL]))
    except AssertionError as error:
        error.add_note(f"Of {faults} came: {[(phase, each.struck) for phase, each in played.items()]}")
        raise
    return played


def may_mail_twice(fault: Fault | None, played: Played) -> bool:
    """Only if nobody can know that the server has taken it: it did not say so, or the worker is gone."""
    if fault is None or played.struck is None:
        return False
    return fault.mode is Mode.KILLED or (fault.mode is Mode.DO_THEN_FAIL and played.struck is Kind.MAIL)


@pytest.fixture
def undisturbed(fresh: Fresh) -> dict[Phase, Played]:
    """All phases without a fault."""
    return play(fresh, {})


def test_every_phase_goes_through_the_wrappers(app: Flask, undisturbed: dict[Phase, Played]) -> None:
    with app.app_context():
        has_more = app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql")
    for phase, played in undisturbed.items():
        wanted = LEAST[phase] | (LEAST_ON_POSTGRESQL[phase] if has_more else {})
        few = {kind: played.counted[kind] for kind, number in wanted.items() if played.counted[kind] < number}
        assert few == {}, phase


def test_the_ledger_is_right_whatever_goes_wrong_in_each_phase(
    fresh: Fresh, undisturbed: dict[Phase, Played]
) -> None:
    """All modes, and steps from all over the phases, in turn."""
    modes, struck = list(Mode), 0
    for number in range(PLAYS):
        faults = {}
        for place, phase in enumerate(Phase):
            step = (number * STRIDE + place) % len(undisturbed[phase].steps)
            faults[phase] = Fault(1 + step, modes[(number + place) % len(modes)])
        struck += sum(each.struck is not None for each in play(fresh, faults).values())
    # Where a phase before went wrong, the next has less to do.
    assert struck >= PLAYS * len(Phase) / 2


@pytest.mark.soak
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("phase", Phase)
def test_the_ledger_is_right_wherever_something_goes_wrong(
    fresh: Fresh, undisturbed: dict[Phase, Played], phase: Phase, mode: Mode
) -> None:
    """Each step once, with nothing else going wrong."""
    for step, kind in enumerate(undisturbed[phase].steps, start=1):
        played = play(fresh, {phase: Fault(step, mode)})
        assert played[phase].struck is kind, step
