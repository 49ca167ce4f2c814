"""Schedules of every kind and policy, and their due times, counted here without any of taskapi's code."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Paris", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
OVERLAPS = ("allow", "allow", "skip", "queue", "replace")
CATCH_UPS = ("skip", "latest", "all")
MINUTE = timedelta(minutes=1)
# One schedule in so many is due more often than its work can be done.
CROWDED_ONE_IN, CROWDED_TIMES, CROWDED_SECONDS = 400, 10, 1.5
CROWDED = ("skip", "replace", "queue")
# Of a hundred schedules, so many that do not just call somebody who answers at once.
SLOW, MOODY, REMINDING, TOLD, HURRIED, SPREAD = 3, 8, 10, 3, 10, 10
# And of those that are due again and again, so many that leave some out, or end after some.
EXCLUDING, ENDING = 10, 10
# One schedule in so many calls who refuses whatever comes: its runs fail once these attempts are used up.
HOPELESS_ONE_IN, HOPELESS_FIRST, NEVER = 45, 5, "never"
HOPELESS_RETRY = {"max_attempts": 2, "delay": 0.5, "max_delay": 5}
# What of it is asked to be told, by turns.
HOPELESS_TOLD: tuple[list[str], ...] = (["failed"], [], ["completed", "failed"], ["completed"])


# Whose window of runs at once is full holds up nobody else. So many that no kind of schedule is only one's.
OWNERS = tuple(f"owner-{number}@example.org" for number in range(1, 12))


@dataclass(frozen=True, slots=True)
class Planned:
    """What is asked for, the due times that this means, and who asks for it."""

    body: dict[str, Any]
    due: frozenset[datetime]
    owner: str = OWNERS[0]

    @property
    def first(self) -> datetime:
        return min(self.due)

    def from_(self, moment: datetime) -> "Planned":
        """What it means for a schedule that was made at this moment, however early somebody asked for it."""
        due = sorted(at for at in self.due if at >= moment)
        return replace(self, due=frozenset(due[: self.body.get("max_runs")]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """All due times lie from ``start`` on and before ``end``, both whole seconds in UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds())

    def steps(self, first: datetime, seconds: int) -> frozenset[datetime]:
        """Every so many seconds from the first on."""
        left = int((self.end - first).total_seconds())
        return frozenset(first + timedelta(seconds=passed) for passed in range(0, left, seconds))

    def minutes(self, zone: str, wanted: Callable[[datetime], bool]) -> frozenset[datetime]:
        """The full minutes whose time on the wall of the zone is wanted."""
        moment, found = self.start.replace(second=0, microsecond=0), []
        while moment < self.end:
            if moment >= self.start and wanted(moment.astimezone(ZoneInfo(zone))):
                found.append(moment)
            moment += MINUTE
        return frozenset(found)


def plans(window: Window, dice: random.Random, *, due_times: int, url: str) -> Iterator[Planned]:
    """Schedules until there are so many due times: half of them of intervals, a fifth due but once."""
    kinds = (_once, _once, _once, _once, _at_one_instant, _interval, _cron, _rule)
    counted = number = 0
    while counted < due_times:
        number += 1
        owner = OWNERS[number % len(OWNERS)]
        if (number - 1) % CROWDED_ONE_IN < len(CROWDED):
            yield replace(crowded := _crowded(window, dice, url, number), owner=owner)
            counted += len(crowded.due)
            continue
        trigger, due = kinds[number % len(kinds)](window, dice)
        if not due:
            continue
        body = {"name": f"plan {number}", **trigger, **_policy(dice), **_work(dice, url, number)}
        if number % HOPELESS_ONE_IN == HOPELESS_FIRST:
            body |= _hopeless(url, number // HOPELESS_ONE_IN)
        jitter = dice.randint(1, 3) if dice.randrange(100) < SPREAD else 0
        if jitter:
            body["jitter"] = jitter
        planned = Planned(body, due, owner)
        if len(due) > 1:
            planned = _ending(_excluding(planned, dice), dice)
        counted += len(planned.from_(window.start).due)
        yield planned


def _hopeless(url: str, turn: int) -> dict[str, Any]:
    told = HOPELESS_TOLD[turn % len(HOPELESS_TOLD)]
    return {**_call(url, NEVER), "retry": HOPELESS_RETRY, "notify": told}


def is_hopeless(body: Mapping[str, Any]) -> bool:
    """Whether what is asked for is refused each time."""
    return str(body.get("params", {}).get("url", "")).endswith(f"/{NEVER}")


def _excluding(planned: Planned, dice: random.Random) -> Planned:
    """Some of the due times left out, perhaps, as somebody in another zone writes them."""
    if dice.randrange(100) >= EXCLUDING:
        return planned
    left_out = dice.sample(sorted(planned.due), len(planned.due) // 2)
    zone = ZoneInfo(dice.choice(ZONES))
    body = {**planned.body, "exclude": [at.astimezone(zone).isoformat() for at in left_out]}
    return replace(planned, body=body, due=planned.due.difference(left_out))


def _ending(planned: Planned, dice: random.Random) -> Planned:
    """An end after so many runs, perhaps: only what is done whatever happens counts alike each time."""
    if dice.randrange(100) >= ENDING:
        return planned
    always = {"overlap": "allow", "catch_up": "all", "max_runs": dice.randint(1, len(planned.due))}
    body = {name: value for name, value in planned.body.items() if name != "start_deadline"}
    return replace(planned, body={**body, **always})


def _crowded(window: Window, dice: random.Random, url: str, number: int) -> Planned:
    """Due each second, where the work takes longer."""
    # The first of them at once: they are there however slow the machine is.
    seconds = number if number <= len(CROWDED) else dice.randrange(window.seconds - CROWDED_TIMES)
    first = window.start + timedelta(seconds=seconds)
    end = first + timedelta(seconds=CROWDED_TIMES)
    body = {
        "name": f"plan {number}",
        "every": 1,
        "starts_at": first.isoformat(),
        "ends_at": end.isoformat(),
        **_policy(dice),
        **_call(url, f"slow/{CROWDED_SECONDS}"),
        "overlap": CROWDED[(number - 1) % CROWDED_ONE_IN],
    }
    return Planned(body, Window(start=first, end=end).steps(first, 1))


Kind = tuple[dict[str, Any], frozenset[datetime]]


def _once(window: Window, dice: random.Random) -> Kind:
    at = window.start + timedelta(milliseconds=dice.randrange(window.seconds * 1000))
    return {"run_at": at.isoformat()}, frozenset([at])


def _at_one_instant(window: Window, dice: random.Random) -> Kind:
    """As others are, too: in the middle of the window."""
    at = window.start + timedelta(seconds=window.seconds // 2)
    return {"run_at": at.isoformat()}, frozenset([at])


def _interval(window: Window, dice: random.Random) -> Kind:
    every = _step(window, dice)
    first = _somewhere_in(window, every, dice)
    return {"every": every, **_bounds(window, first)}, window.steps(first, every)


def _rule(window: Window, dice: random.Random) -> Kind:
    if dice.random() < 0.5:
        second = dice.randrange(60)
        minutes = window.minutes("UTC", lambda _: True) | {window.start.replace(second=0)}
        due = {minute.replace(second=second) for minute in minutes}
        first, rule = window.start, f"FREQ=MINUTELY;BYSECOND={second}"
        found = frozenset(at for at in due if window.start <= at < window.end)
    else:
        step = _step(window, dice)
        first = _somewhere_in(window, step, dice)
        rule, found = f"FREQ=SECONDLY;INTERVAL={step}", window.steps(first, step)
    return {"rrule": rule, **_bounds(window, first)}, found


def _cron(window: Window, dice: random.Random) -> Kind:
    zone = dice.choice(ZONES)
    minute, due = dice.choice((_stepping, _stepping, _listed, _ranging))(window, zone, dice)
    return {"cron": f"{minute} * * * *", "timezone": zone, **_bounds(window, window.start)}, due


def _stepping(window: Window, zone: str, dice: random.Random) -> tuple[str, frozenset[datetime]]:
    step = dice.choice((1, 2, 3))
    return f"*/{step}", window.minutes(zone, lambda wall: wall.minute % step == 0)


def _listed(window: Window, zone: str, dice: random.Random) -> tuple[str, frozenset[datetime]]:
    chosen = dice.sample(range(60), 20)
    return ",".join(map(str, chosen)), window.minutes(zone, lambda wall: wall.minute in chosen)


def _ranging(window: Window, zone: str, dice: random.Random) -> tuple[str, frozenset[datetime]]:
    first, step = dice.randrange(30), dice.choice((1, 2))
    chosen = range(first, first + 30, step)
    return f"{first}-{first + 29}/{step}", window.minutes(zone, lambda wall: wall.minute in chosen)


def _step(window: Window, dice: random.Random) -> int:
    """Seconds from one due time to the next, so that a schedule has two to twenty of them."""
    return dice.randint(max(window.seconds // 20, 1), max(window.seconds // 2, 2))


def _somewhere_in(window: Window, seconds: int, dice: random.Random) -> datetime:
    """In the first so many seconds: what comes again and again does not all come at once."""
    return window.start + timedelta(seconds=dice.randrange(seconds))


def _bounds(window: Window, first: datetime) -> dict[str, str]:
    return {"starts_at": first.isoformat(), "ends_at": window.end.isoformat()}


def _policy(dice: random.Random) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "overlap": dice.choice(OVERLAPS),
        "catch_up": dice.choice(CATCH_UPS),
        "retry": {"max_attempts": 5, "delay": 0.5, "max_delay": 5},
        "notify": ["completed", "failed"] if dice.randrange(100) < TOLD else [],
    }
    if dice.randrange(100) < HURRIED:
        policy["start_deadline"] = 5
    return policy


def _work(dice: random.Random, url: str, number: int) -> dict[str, Any]:
    place = dice.randrange(100)
    if place < REMINDING:
        # An address of its own, so that its mails can be counted.
        params = {"message": "Time for tea", "to": f"plan-{number}@example.org"}
        return {"action": "reminder", "params": params}
    if place < REMINDING + SLOW:
        path = f"slow/{dice.uniform(0.3, 1.5):.2f}"
    else:
        path = "moody" if place < REMINDING + SLOW + MOODY else "at-once"
    return _call(url, path)


def _call(url: str, path: str) -> dict[str, Any]:
    return {"action": "webhook", "params": {"url": f"{url}/{path}"}}


def window_from(moment: datetime, seconds: int) -> Window:
    """From the next full second on."""
    start = moment.replace(microsecond=0) + timedelta(seconds=1)
    return Window(start=start.astimezone(UTC), end=start + timedelta(seconds=seconds))
