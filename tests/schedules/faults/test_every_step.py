"""Something goes wrong at each step in turn, and afterwards the ledger is right."""

from collections.abc import Mapping, Sequence

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session
from taskapi.schedules.models import Run
from tests.schedules.faults.conftest import Fresh
from tests.schedules.faults.ledger import check, is_quiet
from tests.schedules.faults.scenario import Phase, Scenario
from tests.schedules.faults.struck import DATABASE, Fault, Kind, Mode, Played, may_mail_twice

# So many steps of a kind has a phase at least: else it has found a way around the wrappers.
LEAST: dict[Phase, dict[Kind, int]] = {
    Phase.RESCUE: {Kind.STATEMENT: 15, Kind.COMMIT: 3, Kind.REDIS: 4},
    Phase.DISPATCH: {Kind.STATEMENT: 6, Kind.COMMIT: 1, Kind.REDIS: 1},
    # With the two of a lease that is kept, and of what its action tells.
    Phase.WORK: {Kind.STATEMENT: 30, Kind.COMMIT: 6, Kind.REDIS: 15, Kind.CALL: 1},
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
# Longer than a server is away, and than until a job is missed.
PATIENCE = 11
# What is seen to after all, so that the following phases have something to work on.
GONE_ON_WITH: dict[Phase, Sequence[Phase]] = {
    Phase.DISPATCH: (Phase.RESCUE, Phase.DISPATCH),
    Phase.RELAY: (Phase.RELAY, Phase.RESCUE),
}
# Has no divisor in common with most numbers of steps.
STRIDE = 17
# Mails are sent in one phase alone: so many rounds it needs for all that goes wrong with them, and besides.
ROUNDS = 9
WHOM: dict[str, frozenset[Kind]] = {
    "database": frozenset(DATABASE),
    "redis": frozenset({Kind.REDIS}),
    "mail": frozenset({Kind.MAIL}),
    "call": frozenset({Kind.CALL}),
    # By which PostgreSQL claims and ends runs.
    "claim": frozenset({Kind.PREPARED}),
}
# Whom the faults in a phase strike, in turn. What goes wrong is another thing in each of six rounds, so a row
# of two or three meets but some of it, and the long ones say who meets what.
IN_TURN: dict[Phase, Sequence[str]] = {
    Phase.RESCUE: ("database", "redis"),
    # Whoever has just missed Redis leaves it alone for a while.
    Phase.DISPATCH: ("redis", "database"),
    Phase.WORK: ("call", "call", "redis", "claim", "call", "claim", "database", "claim", "database"),
    Phase.AGAIN: ("database", "redis"),
    Phase.RELAY: ("redis", "database"),
    Phase.WEBHOOKS: ("database", "redis", "call"),
    Phase.MAIL: (*["mail"] * 5, "database", "redis", "database", "redis"),
}


def play(fresh: Fresh, faults: Mapping[Phase, Fault], *, goes_on: bool = False) -> dict[Phase, Played]:
    """Play all phases, with these faults in them, and compare what came of it with what should.

    Args:
        goes_on: see to what is due after all, as ``GONE_ON_WITH`` says.
    """
    scenario, played = Scenario(fresh()), dict[Phase, Played]()
    scenario.prepare()
    for phase in Phase:
        played[phase] = scenario.play(phase, faults.get(phase))
        if phase in GONE_ON_WITH and goes_on:
            scenario.world.time.pass_(seconds=PATIENCE)
            for again in GONE_ON_WITH[phase]:
                scenario.play(again)
    scenario.heal(lambda: is_quiet(scenario.world.app))
    try:
        check(scenario, mails_may_come_twice=may_mail_twice(faults.get(Phase.MAIL), played[Phase.MAIL]))
    except AssertionError as error:
        error.add_note(f"Of {faults} came: {[(phase, each.struck) for phase, each in played.items()]}")
        raise
    return played


@pytest.fixture(scope="session")
def databases_played_on() -> set[str]:
    """On which databases this process has played all phases before."""
    return set()


@pytest.fixture
def undisturbed(app: Flask, fresh: Fresh, databases_played_on: set[str]) -> dict[Phase, Played]:
    """All phases without a fault."""
    database = app.config["SQLALCHEMY_DATABASE_URI"]
    if database not in databases_played_on:
        # The first time has more steps than those to come: Redis is told what scripts there are.
        play(fresh, {})
        databases_played_on.add(database)
    return play(fresh, {})


def test_every_phase_goes_through_the_wrappers(app: Flask, undisturbed: dict[Phase, Played]) -> None:
    with app.app_context():
        has_more = app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql")
    for phase, played in undisturbed.items():
        wanted = LEAST[phase] | (LEAST_ON_POSTGRESQL[phase] if has_more else {})
        few = {kind: played.counted[kind] for kind, number in wanted.items() if played.counted[kind] < number}
        assert few == {}, phase


def strike(number: int, undisturbed: Mapping[Phase, Played]) -> dict[Phase, tuple[str, Fault]]:
    """A fault for each phase in a round, and whom it strikes."""
    modes, found = list(Mode), dict[Phase, tuple[str, Fault]]()
    for place, phase in enumerate(Phase):
        whom = IN_TURN[phase][number % len(IN_TURN[phase])]
        if whom == "claim" and not undisturbed[phase].counted[Kind.PREPARED]:
            whom = "database"
        there = sum(kind in WHOM[whom] for kind in undisturbed[phase].steps)
        step = 1 + (number * STRIDE + place) % there
        found[phase] = whom, Fault(step, modes[(number + place) % len(modes)], WHOM[whom])
    return found


def test_the_ledger_is_right_whatever_goes_wrong_in_each_phase(
    fresh: Fresh, undisturbed: dict[Phase, Played]
) -> None:
    """All modes, whomever they strike, and steps from all over the phases, in turn."""
    met = set[tuple[Phase, str, Mode]]()
    for number in range(ROUNDS):
        strikes = strike(number, undisturbed)
        faults = {phase: fault for phase, (_, fault) in strikes.items()}
        for phase, played in play(fresh, faults, goes_on=True).items():
            if played.struck is not None:
                met.add((phase, strikes[phase][0], faults[phase].mode))
    # Of all others what is answered is done.
    wanted = {
        (mode, whom)
        for mode in Mode
        for whom in ("database", "redis", "mail", "call")
        if mode is not Mode.UNDONE or whom == "database"
    }
    assert wanted - {(mode, whom) for _, whom, mode in met} == set()
    has_claims = undisturbed[Phase.WORK].counted[Kind.PREPARED] > 0
    for phase, row in IN_TURN.items():
        each = {"database" if whom == "claim" and not has_claims else whom for whom in row}
        assert each - {whom for place, whom, _ in met if place is phase} == set(), phase


@pytest.mark.one_database("postgresql")
def test_an_answer_whose_commit_broke_is_none(
    app: Flask, fresh: Fresh, undisturbed: dict[Phase, Played]
) -> None:
    """PostgreSQL answers a statement that is a transaction by itself before that is committed.

    Whoever knows so has lost nothing: only of the one run that was lost before is there another attempt.
    """
    # The first claims a run, the others end one besides.
    steps = range(1, undisturbed[Phase.WORK].counted[Kind.PREPARED] + 1, 3)
    assert len(steps) > 1
    for step in steps:
        played = play(fresh, {Phase.WORK: Fault(step, Mode.UNDONE, WHOM["claim"])})
        assert played[Phase.WORK].struck is Kind.PREPARED
        with app.app_context():
            assert session().scalar(sa.select(sa.func.sum(Run.lost_attempts))) == 1


@pytest.mark.soak
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.UNDONE])
@pytest.mark.parametrize("phase", Phase)
def test_the_ledger_is_right_wherever_something_goes_wrong(
    fresh: Fresh, undisturbed: dict[Phase, Played], phase: Phase, mode: Mode
) -> None:
    """Each step once, with nothing else going wrong."""
    assert undisturbed[phase].steps
    for step, kind in enumerate(undisturbed[phase].steps, start=1):
        played = play(fresh, {phase: Fault(step, mode)})
        assert played[phase].struck is kind, step


@pytest.mark.soak
@pytest.mark.one_database("postgresql")
def test_the_ledger_is_right_whichever_commit_broke_after_the_answer(
    fresh: Fresh, undisturbed: dict[Phase, Played]
) -> None:
    """Only what is a transaction by itself is answered before its commit: of all else it is what fails."""
    found = [
        (phase, step)
        for phase, played in undisturbed.items()
        for step in range(1, played.counted[Kind.PREPARED] + 1)
    ]
    assert found
    for phase, step in found:
        played = play(fresh, {phase: Fault(step, Mode.UNDONE, WHOM["claim"])})
        assert played[phase].struck is Kind.PREPARED, (phase, step)
