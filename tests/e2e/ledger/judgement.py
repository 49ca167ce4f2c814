"""What a trial came to: what must not be, what was counted, and which promised limit was broken."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.e2e.ledger.faults import Fault
from tests.e2e.ledger.verdicts import Run


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be at most, in due times and in seconds."""

    lost: float = 0
    doubled: float = 0
    taken_up_last: float = 30
    waited_last: float = 30
    made_late: float = 3
    handed_late: float = 3
    # Longer than there may be no scheduler, and what waited has been worked off.
    began_last: float = 150

    def words(self) -> Mapping[str, str]:
        """What is promised, by the figure that it is about."""
        return {
            "lost": f"due times without a run: {self.lost:g}",
            "doubled": f"due times with two runs: {self.doubled:g}",
            "taken_up_last": f"a dead worker's run goes on within {self.taken_up_last:g} s",
            "waited_last": f"beside a dead worker a run begins within {self.waited_last:g} s of its turn",
            "made_late": f"beside a killed scheduler a run is made within {self.made_late:g} s",
            "handed_late": f"beside a killed scheduler a run is in its queue within {self.handed_late:g} s",
            "began_last": f"whatever was broken, a run begins within {self.began_last:g} s",
        }


PROMISED = Limits()
# A machine that is busy with other tests breaks none of these; what is never taken up does.
FAR_FROM_BOTH = Limits(taken_up_last=120, waited_last=120, made_late=30, handed_late=30)


@dataclass
class Judgement:
    """What was found.

    Attributes:
        wrong: what must not be, by what it is; empty if all is well.
        figures: what is worth telling.
    """

    runs: list[Run]
    faults: list[Fault]
    wrong: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def blame(self, what: str, found: Iterable[object]) -> None:
        if shown := [str(one) for one in found]:
            self.wrong[what] = shown

    def count(self, **figures: float) -> None:
        self.figures.update(figures)

    def broken(self, limits: Limits) -> list[str]:
        """The limits that were not kept, in words, with what was found instead."""
        return [
            f"{words}, but found {self.figures[name]:.4g}"
            for name, words in limits.words().items()
            if self.figures[name] > getattr(limits, name)
        ]
