"""E-mail templates: a plain and an HTML text for each kind, under ``mail_templates``."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from taskapi.core.runtime import runtime_settings


def render_email(kind: str, context: dict[str, Any]) -> tuple[str, str]:
    """The plain and the HTML text of a message."""
    settings = runtime_settings()
    values = {**context, "app_name": settings.app_name, "public_url": settings.public_url}
    text = _environment().get_template(f"{kind}.txt").render(values)
    html = _environment().get_template(f"{kind}.html").render(values)
    return text.strip() + "\n", html


def render_page(name: str, **context: Any) -> str:
    """A page for people who followed a link in a message."""
    values = {**context, "app_name": runtime_settings().app_name}
    return _environment().get_template(f"{name}.html").render(values)


def on_the_wall(moment: str, zone: str) -> str:
    """A time as its reader has it on the wall, such as 'Fri 20 Nov 2026, 09:30 (Europe/Paris)'."""
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    seconds = ":%S" if local.second else ""
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M{seconds}} ({zone})"


def duration(milliseconds: int | None) -> str:
    """A duration for people, exact to its two largest units."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    parts = _units(milliseconds // 1000, ("d", "h", "min", "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2])


def lateness(milliseconds: int | None) -> str:
    """How long after its due time something began."""
    if milliseconds is None:
        return "-"
    return f"{duration(milliseconds)} after it was due" if milliseconds > 0 else "when it was due"


def interval(seconds: float) -> str:
    """An interval for people, such as 'every hour' or 'every 1 day 12 hours'."""
    if seconds != int(seconds):
        return f"every {seconds:.15g} seconds"
    parts = _units(int(seconds), ("day", "hour", "minute", "second"))
    if len(parts) == 1 and parts[0][0] == 1:
        return f"every {parts[0][1]}"
    return "every " + " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts)


def _units(seconds: int, names: Sequence[str]) -> list[tuple[int, str]]:
    counts = (seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    return [(count, name) for count, name in zip(counts, names, strict=True) if count]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("taskapi.notifications", "mail_templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"on_the_wall": on_the_wall, "duration": duration, "lateness": lateness}
    return environment
