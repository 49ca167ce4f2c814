"""Due times found in the plainest way: by a walk through every minute of a zone's clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

MINUTE = timedelta(minutes=1)
MARGIN = timedelta(hours=27)


class Walk:
    """What the clocks of a zone show in each minute around two moments."""

    def __init__(self, zone: ZoneInfo, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.shown: dict[datetime, list[datetime]] = {}
        self.left_out: dict[datetime, datetime] = {}
        moment, before = start - MARGIN, None
        while moment < end + MARGIN:
            wall = moment.astimezone(zone).replace(tzinfo=None)
            self.shown.setdefault(wall, []).append(moment)
            while before is not None and before + MINUTE < wall:
                before += MINUTE
                self.left_out[before] = moment
            before, moment = wall, moment + MINUTE

    def due(self, cron: str, *, gap: str, repeat: str) -> list[datetime]:
        """The due times of a cron line between the two moments."""
        if cron.split()[1] == "*":
            gap, repeat = "skip", "both"
        fields = CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001
        chosen = {"first": slice(0, 1), "second": slice(1, 2), "both": slice(0, 2)}[repeat]
        found = set()
        for wall, moments in self.shown.items():
            if _fits(fields, wall):
                found.update(moments[chosen] if len(moments) > 1 else moments)
        if gap == "next_valid":
            found.update(moment for wall, moment in self.left_out.items() if _fits(fields, wall))
        return sorted(moment for moment in found if self.start < moment < self.end)


def _fits(fields: CronSim, wall: datetime) -> bool:
    return (
        wall.minute in fields.minutes
        and wall.hour in fields.hours
        and wall.month in fields.months
        and bool(fields.match_day(wall.date()))
    )


def changes(zone: ZoneInfo, first_year: int, last_year: int) -> Iterator[datetime]:
    """The minutes in which a zone changes its offset."""
    moment = datetime(first_year, 1, 1, tzinfo=UTC)
    while moment.year <= last_year:
        following = moment + timedelta(hours=12)
        if moment.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield next(
                at
                for at in (moment + number * MINUTE for number in range(1, 721))
                if at.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset()
            )
        moment = following
