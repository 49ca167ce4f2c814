"""When a schedule is due and what its policies are: nothing here knows how taskapi counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

# Zones, and how many minutes their clocks are ahead of a full hour.
ZONES = {"UTC": 0, "Asia/Kathmandu": 45}


@dataclass(frozen=True, slots=True)
class Plan:
    """Due every ``step`` seconds, or once, from ``begin`` on and before ``end``.

    Attributes:
        most: at most so many runs.
    """

    kind: str
    step: int
    begin: datetime
    end: datetime
    zone: str
    most: int | None

    def due(self) -> list[datetime]:
        """All due times, whatever the number of runs."""
        if self.kind == "once":
            return [self.begin]
        step = timedelta(seconds=self.step)
        first = self._first_minute(step) if self.kind == "cron" else self.begin
        number = max(-((first - self.end) // step), 0)
        return [first + n * step for n in range(number)]

    def _first_minute(self, step: timedelta) -> datetime:
        """The first that the step divides, on the clock of the zone."""
        ahead = timedelta(minutes=ZONES[self.zone])
        wall = self.begin + ahead
        hour = wall.replace(minute=0, second=0)
        return hour - ((hour - wall) // step) * step - ahead

    def has_trigger_of(self, other: "Plan") -> bool:
        """Whether both are due by the same words."""
        if self.kind == "once" == other.kind:
            return self.begin == other.begin
        return (self.kind, self.step) == (other.kind, other.step)


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of due times that were missed or overlap."""

    overlap: str
    catch_up: str
    start_deadline: int | None

    def fields(self) -> dict[str, Any]:
        """As it is sent."""
        return {
            "overlap": self.overlap,
            "catch_up": self.catch_up,
            "start_deadline": self.start_deadline,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants: a due time every ``step`` seconds, one if there is none, for ``span`` seconds."""

    kind: str
    action: str
    step: int
    span: int
    zone: str
    policy: Policy
    max_runs: int | None

    def plan(self, now: datetime, *, is_bounded: bool = True) -> Plan:
        """As it is when it is asked for now; of what is replaced ``max_runs`` would not count."""
        begin = now.replace(microsecond=0) + timedelta(seconds=2)
        counts = is_bounded and self.kind != "once" and self.policy.overlap != "replace"
        end = begin + timedelta(seconds=self.span)
        return Plan(self.kind, self.step, begin, end, self.zone, self.max_runs if counts else None)

    def fields(self) -> dict[str, Any]:
        """What is sent besides when it is due."""
        return {
            **self.policy.fields(),
            "name": self.kind,
            "action": self.action,
            "params": {"message": "Tea"} if self.action == "reminder" else {},
            "notify": [],
            "retry": {"max_attempts": 3, "delay": 1, "factor": 1, "max_delay": 1},
            "catch_up_window": 86_400,
            "catch_up_limit": 100,
        }


def trigger_fields(plan: Plan) -> dict[str, Any]:
    """When it is due, as it is sent."""
    fields: dict[str, Any] = {"timezone": plan.zone, "max_runs": plan.most, "ends_at": None}
    if plan.kind == "once":
        return {**fields, "run_at": plan.begin.isoformat()}
    often = {"every": plan.step} if plan.kind == "every" else {"cron": f"*/{plan.step // 60} * * * *"}
    return {**fields, **often, "starts_at": plan.begin.isoformat(), "ends_at": plan.end.isoformat()}


POLICIES = st.builds(
    Policy,
    overlap=st.sampled_from(("allow", "skip", "queue", "replace")),
    catch_up=st.sampled_from(("all", "latest", "skip")),
    start_deadline=st.none() | st.sampled_from((5, 90)),
)
WISHES = st.builds(
    Wish,
    kind=st.sampled_from(("once", "every", "cron")),
    action=st.sampled_from(("probe", "probe", "reminder")),
    step=st.sampled_from((60, 120)),
    span=st.sampled_from((60, 150, 400)),
    zone=st.sampled_from(tuple(ZONES)),
    policy=POLICIES,
    max_runs=st.none() | st.integers(1, 3),
)
