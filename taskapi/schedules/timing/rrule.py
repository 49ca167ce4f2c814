"""When a recurrence rule (:rfc:`5545`) is due; DTSTART is the schedule's ``starts_at``.

A rule of FREQ=DAILY or longer, or with BYHOUR, speaks of the wall, and the zone's changes are
resolved as those of a cron line. A finer one counts real time from its start through all changes,
and its BYxxx parts are read off the wall at each moment. The search begins where it is asked to,
never at DTSTART, so that a rule that began long ago costs no more than a new one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from taskapi.schedules.timing.rrule_days import END_OF_DAYS
from taskapi.schedules.timing.rrule_text import Exceptions, Rule
from taskapi.schedules.timing.rrule_walls import MAX_FRUITLESS_DAYS, FineWalls, long_walls
from taskapi.schedules.timing.wall import SECOND, Due, by_wall_time, first_wall, resolve, stretches, wall_of

MICROSECOND = timedelta(microseconds=1)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule in a zone.

    Attributes:
        start: DTSTART in UTC, a whole second.
        gap, repeat: see ``wall``.
        free_days: local days, as ordinals, that need not be looked at: the caller leaves them out.
    """

    rule: Rule
    start: datetime
    zone: ZoneInfo
    gap: str
    repeat: str
    free_days: frozenset[int] = frozenset()

    def due_times(self, after: datetime) -> Iterator[Due]:
        """All later than ``after``, ascending; EXDATE of whole days is left to the caller."""
        after = max(after, self.start - MICROSECOND)
        found: Iterator[Due]
        walls, moments = _exceptions(self.rule.exceptions, self.zone)
        if self._is_real:
            excluded = moments | {due.at for wall in walls for due in self._resolve_all(wall)}
            found = (Due(at) for at in self._bounded_moments(after))
        else:
            excluded = moments
            coming = (wall for wall in self._bounded_walls(after) if wall not in walls)
            found = by_wall_time(coming, zone=self.zone, gap=self.gap, repeat=self.repeat, after=after)
        until = self.rule.until
        if until is not None and until.tzinfo is not None:
            found = takewhile(lambda due: due.at <= until, found)
        return (due for due in found if due.at not in excluded)

    @property
    def _counted(self) -> "Recurrence":
        # COUNT counts what exceptions take away.
        return replace(self, free_days=frozenset())

    @property
    def _is_real(self) -> bool:
        return self.rule.is_fine and not self.rule.hours

    def _bounded_walls(self, after: datetime) -> Iterator[datetime]:
        walls = self.walls(first_wall(after, self.zone))
        ends = [_last_wall(self._counted), self.rule.until]
        last = [end for end in ends if end is not None and end.tzinfo is None]
        return takewhile(lambda wall: wall <= min(last), walls) if last else walls

    def walls(self, first: datetime) -> Iterator[datetime]:
        """The wall times from ``first`` on, whatever COUNT, UNTIL and EXDATE say."""
        start = wall_of(self.start, self.zone)
        if self.rule.is_fine:
            return FineWalls(self.rule, self.free_days).times(start=start, first=first)
        return long_walls(self.rule, start=start, first=first)

    def counts(self, wall: datetime) -> bool:
        """Whether COUNT counts a wall time: RFC 5545 leaves out those that do not exist."""
        # Asked up to 10,000 times: where the offset does not change there is nothing to resolve.
        if self.zone.utcoffset(wall) == self.zone.utcoffset(wall.replace(fold=1)):
            return True
        due = resolve(wall, self.zone, gap=self.gap, repeat=self.repeat)
        return bool(due) and due[-1].at >= self.start

    def _bounded_moments(self, after: datetime) -> Iterator[datetime]:
        moments = self.moments(after)
        last = [_last_moment(self._counted)] if self.rule.count else []
        if self.rule.until is not None and self.rule.until.tzinfo is None:
            # A wall time that comes twice includes its second time.
            last.append(max(_both(self.rule.until, self.zone)))
        bounds = [end for end in last if end is not None]
        return takewhile(lambda at: at <= min(bounds), moments) if bounds else moments

    def moments(self, after: datetime) -> Iterator[datetime]:
        """The moments after ``after`` of a rule that counts real time.

        Day by day in UTC, and in each for every offset that the zone has in it: DTSTART as a
        clock would show it that never left this offset keeps the intervals in real time.
        """
        fine = FineWalls(self.rule, self.free_days)
        start, day, fruitless = self.start.replace(tzinfo=None), after.toordinal(), 0
        while fruitless <= MAX_FRUITLESS_DAYS:
            # A day in UTC has parts of the local days around it.
            fitting = next(fine.days(day - 1), END_OF_DAYS)
            day = max(day, fitting - 1)
            midnight = datetime.fromordinal(day).replace(tzinfo=UTC)
            if fitting >= END_OF_DAYS:
                return
            fruitless += 1
            for begin, end in stretches(midnight, midnight + ONE_DAY, self.zone):
                offset = begin.astimezone(self.zone).utcoffset() or timedelta()
                first = max(begin, after.replace(microsecond=0)).replace(tzinfo=None) + offset
                last = end.replace(tzinfo=None) + offset
                for wall in fine.times(start=start + offset, first=first, end=last):
                    at = (wall - offset).replace(tzinfo=UTC)
                    if at > after:
                        fruitless = 0
                        yield at
            day += 1

    def _resolve_all(self, wall: datetime) -> list[Due]:
        return resolve(wall, self.zone, gap="skip", repeat="both")


def whole_second(moment: datetime) -> datetime:
    """The moment, rounded up: a rule knows no fractions of a second."""
    return moment if not moment.microsecond else moment.replace(microsecond=0) + SECOND


@lru_cache(maxsize=1024)
def _last_wall(recurrence: Recurrence) -> datetime | None:
    """The wall time at which COUNT ends a rule, None when it does not."""
    if recurrence.rule.count is None:
        return None
    walls = recurrence.walls(wall_of(recurrence.start, recurrence.zone))
    return next(islice(filter(recurrence.counts, walls), recurrence.rule.count - 1, None), None)


@lru_cache(maxsize=1024)
def _last_moment(recurrence: Recurrence) -> datetime | None:
    """The moment at which COUNT ends a rule that counts real time."""
    assert recurrence.rule.count is not None
    moments = recurrence.moments(recurrence.start - MICROSECOND)
    return next(islice(moments, recurrence.rule.count - 1, None), None)


@lru_cache(maxsize=1024)
def _exceptions(exceptions: Exceptions, zone: ZoneInfo) -> tuple[frozenset[datetime], frozenset[datetime]]:
    """EXDATE as times on the zone's wall and as moments in UTC."""
    here = {moment for moment in exceptions.elsewhere if moment.tzinfo is zone}
    walls = exceptions.walls | {moment.replace(tzinfo=None) for moment in here}
    moments = {at for moment in exceptions.elsewhere - here for at in _both(moment, moment.tzinfo)}
    return walls, frozenset(moments)


def _both(wall: datetime, zone: tzinfo | None) -> list[datetime]:
    """The moments in UTC that a wall time may mean."""
    return [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
