"""What cells of a table mean, as this and other systems write them."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from taskapi.core import clock
from taskapi.core.folding import folded
from taskapi.core.schemas import EARLIEST, LATEST

STATUS_WORDS = {
    "todo": ("todo", "to do", "open", "opened", "new", "backlog", "pending", "reopened"),
    "in_progress": ("in progress", "inprogress", "doing", "wip", "started", "active"),
    "done": ("done", "closed", "completed", "complete", "finished", "resolved"),
    "cancelled": ("cancelled", "canceled", "wontfix", "wont fix", "won't fix", "not planned"),
}
STATUS_OF = {word: status for status, words in STATUS_WORDS.items() for word in words}
# 1 to 4 and p1 to p4 as Todoist's files and most trackers count them: 1 is the most urgent.
PRIORITY_OF = {
    **dict.fromkeys(("low", "minor", "trivial", "lowest", "4", "p4"), "low"),
    **dict.fromkeys(("medium", "normal", "none", "no priority", "3", "p3"), "medium"),
    **dict.fromkeys(("high", "major", "2", "p2"), "high"),
    **dict.fromkeys(("urgent", "critical", "blocker", "highest", "1", "p1"), "urgent"),
}
TRUE, FALSE = frozenset({"true", "1", "yes", "y", "x"}), frozenset({"false", "0", "no", "n"})
DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ ,T]+(\d{1,2}:\d{2}(?::\d{2})?))?")
SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ ,T]+(\d{1,2}:\d{2}(?::\d{2})?))?")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH_FIRST = re.compile(
    rf"({'|'.join(MONTHS)})[a-z]*\.? (\d{{1,2}}),? (\d{{4}})(?:,? (\d{{1,2}}:\d{{2}}))?", re.I
)
PLAIN = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?")
END_OF_DAY = time(23, 59, 59)


class WrongValue(Exception):
    """The cell says something that the field cannot be."""


def status(cell: str) -> str | None:
    """A status; None for an overdue one, which the due date decides.

    Older systems wrote whether there is something left to do: true is todo.
    """
    word = re.sub(r"[\s_-]+", " ", folded(cell))
    if word == "overdue":
        return None
    if word in TRUE or word in FALSE:
        return "todo" if word in TRUE else "done"
    return _known(STATUS_OF, word, cell, "status: use todo, in_progress, done or cancelled")


def completed(cell: str) -> str:
    """The status of a task that is completed or not."""
    return "done" if flag(cell) else "todo"


def priority(cell: str) -> str:
    return _known(PRIORITY_OF, folded(cell), cell, "priority: use low, medium, high or urgent")


def flag(cell: str) -> bool:
    word = folded(cell)
    if word not in TRUE | FALSE:
        raise WrongValue(f"'{_short(cell)}' is neither true nor false.")
    return word in TRUE


def tags(cell: str) -> list[str]:
    """Names from a JSON list, or parted by commas, semicolons or bars; each once."""
    names: list[object] = re.split(r"[,;|]", cell)
    if cell.startswith("["):
        try:
            read = json.loads(cell)
        except (ValueError, RecursionError):
            read = None
        names = read if isinstance(read, list) else names
    texts = [str(name).strip() for name in names]
    return list(dict.fromkeys(text for text in texts if text))


def due_date(cell: str, zone: ZoneInfo) -> datetime:
    """A time; a date means the last second of that day in the zone."""
    return _moment(cell, zone, END_OF_DAY)


def past_time(cell: str, zone: ZoneInfo) -> datetime:
    """A time that is not to come; a date means its first moment."""
    moment = _moment(cell, zone, time())
    if moment > clock.now():
        raise WrongValue(f"'{_short(cell)}' is still to come.")
    return moment


def _moment(cell: str, zone: ZoneInfo, at: time) -> datetime:
    try:
        moment = _read(cell, zone, at)
    except (ValueError, OverflowError):
        raise WrongValue(f"'{_short(cell)}' is no date: write 2026-11-20 or 2026-11-20T09:00:00Z.") from None
    if not EARLIEST <= moment < LATEST:
        raise WrongValue("The time must lie between 1970 and 2199.")
    return moment


def _read(cell: str, zone: ZoneInfo, at: time) -> datetime:
    shapes: tuple[tuple[re.Pattern[str], Callable[[str, str, str], tuple[int, int, int]]], ...] = (
        (PLAIN, lambda year, month, day: (int(year), int(month), int(day))),
        (DAY_FIRST, lambda day, month, year: (int(year), int(month), int(day))),
        (SLASHES, _with_slashes),
        (MONTH_FIRST, lambda month, day, year: (int(year), MONTHS.index(month.lower()) + 1, int(day))),
    )
    for shape, day_of in shapes:
        if match := shape.fullmatch(cell):
            *parts, clock_time = match.groups()
            of_day = _of_day(clock_time) if clock_time else at
            wall = datetime.combine(datetime(*day_of(*parts)), of_day)  # noqa: DTZ001 - its zone follows
            return wall.replace(tzinfo=zone).astimezone(UTC)
    moment = datetime.fromisoformat(cell.upper())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _of_day(clock_time: str) -> time:
    """``9:30`` or ``9:30:15``, of which the hour may lack its zero."""
    hour, _, rest = clock_time.partition(":")
    return time.fromisoformat(f"{hour:0>2}:{rest}")


def _with_slashes(first: str, second: str, year: str) -> tuple[int, int, int]:
    """Americans write the month first, others the day; taken where one reading only is possible."""
    one, two = int(first), int(second)
    if one <= 12 and two <= 12 and one != two:
        raise WrongValue(f"{first}/{second}/{year} may mean two days: write {year}-MM-DD.")
    return (int(year), two, one) if one > 12 else (int(year), one, two)


def _known(words: dict[str, str], word: str, cell: str, hint: str) -> str:
    if word not in words:
        raise WrongValue(f"'{_short(cell)}' is no {hint}.")
    return words[word]


def _short(cell: str) -> str:
    return cell if len(cell) <= 50 else f"{cell[:50]}…"
