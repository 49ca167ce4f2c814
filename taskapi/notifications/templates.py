"""E-mail templates: a plain and an HTML text for each kind, under ``mail_templates``."""

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


def on_the_wall(moment: str | datetime | None, zone: str) -> str:
    """A time as its reader has it on the wall, such as 'Fri 20 Nov 2026, 09:30:05 (Europe/Paris)'."""
    if moment is None:
        return "-"
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{parsed.astimezone(ZoneInfo(zone)):%a %d %b %Y, %H:%M:%S} ({zone})"


def duration(milliseconds: int | None) -> str:
    """A short duration for people."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("taskapi.notifications", "mail_templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"on_the_wall": on_the_wall, "duration": duration}
    return environment
