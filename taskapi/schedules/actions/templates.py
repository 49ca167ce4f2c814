"""Texts with placeholders for the due time of a run, such as ``Review of week {week}``."""

from datetime import datetime
from string import Formatter
from uuid import UUID
from zoneinfo import ZoneInfo

import marshmallow as ma

# As English has them: the names of the standard library follow the machine's language.
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# What stands for the longest of each.
LONGEST = {
    "date": "2026-09-30",
    "time": "09:00",
    "weekday": "Wednesday",
    "day": "30",
    "week": "40",
    "month": "September",
    "year": "2026",
    "run": str(UUID(int=0)),
}


def check_template(text: str) -> None:
    """Refuse what cannot be filled in.

    Raises:
        ValidationError: naming the placeholders there are.
    """
    try:
        fields = [parts for parts in Formatter().parse(text) if parts[1] is not None]
    except ValueError:
        problem = "A brace stands alone: write {{ or }} for one that is no placeholder."
        raise ma.ValidationError(problem) from None
    # Nothing but a name: what Python's own templates know besides could read more than the values.
    if any(name not in LONGEST or form or conversion for _text, name, form, conversion in fields):
        known = ", ".join(f"{{{name}}}" for name in LONGEST)
        raise ma.ValidationError(f"There is no such placeholder; there are {known}, and {{{{ for a brace.")


def filled(text: str, values: dict[str, str]) -> str:
    """A template that was checked, with the values in the places."""
    return text.format_map(values)


def values_of(scheduled_for: datetime, zone: str, run_id: UUID) -> dict[str, str]:
    """What the placeholders stand for; weeks are those of ISO 8601."""
    local = scheduled_for.astimezone(ZoneInfo(zone))
    return {
        "date": local.date().isoformat(),
        "time": f"{local:%H:%M}",
        "weekday": DAYS[local.weekday()],
        "day": str(local.day),
        "week": str(local.isocalendar().week),
        "month": MONTHS[local.month - 1],
        "year": str(local.year),
        "run": str(run_id),
    }
