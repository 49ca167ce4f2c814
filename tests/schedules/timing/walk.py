"""Due times found in the plainest way: by a walk through every minute of a zone's clock.

Nothing of it is the application's, nor of the library that reads cron lines there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.schedules.timing.cron_fields import read_cron

MINUTE = timedelta(minutes=1)
MARGIN = timedelta(hours=27)


class Walk:
    """What the clocks of a zone show in each minute around two moments."""

    def __init__(self, zone: ZoneInfo, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.shown: dict[datetime, list[datetime]] = {}
        self.left_out: dict[datetime, datetime] = {}
        self.fitting: dict[str, tuple[list[list[datetime]], list[datetime]]] = {}
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
        chosen = {"first": slice(0, 1), "second": slice(1, 2), "both": slice(0, 2)}[repeat]
        shown, left_out = self._fitting(cron)
        found = {moment for moments in shown for moment in (moments[chosen] if moments[1:] else moments)}
        if gap == "next_valid":
            found.update(left_out)
        return sorted(moment for moment in found if self.start < moment < self.end)

    def _fitting(self, cron: str) -> tuple[list[list[datetime]], list[datetime]]:
        """When a time of the line is shown, and when those are over that the clocks leave out."""
        if cron not in self.fitting:
            fields = read_cron(cron)
            self.fitting[cron] = (
                [moments for wall, moments in self.shown.items() if fields.fit(wall)],
                [moment for wall, moment in self.left_out.items() if fields.fit(wall)],
            )
        return self.fitting[cron]


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
