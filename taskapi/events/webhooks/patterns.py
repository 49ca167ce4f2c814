"""Which events a webhook wants: ``*``, ``task.*`` or ``task.created``."""

from collections.abc import Iterable
from difflib import get_close_matches

import marshmallow as ma

from taskapi.core.following import followed_kinds

EVERYTHING = "*"
# Of each kind what is recorded of it; ``removed`` is told to those who do not see the thing any more.
VERBS = {
    "task": (
        *("created", "updated", "deleted", "restored", "overdue", "purged", "removed"),
        "weather_filled",
    ),
    "comment": ("created", "updated", "deleted", "removed"),
    "tag": ("created", "updated", "deleted", "removed"),
    "file": ("created", "handed_over", "detached", "deleted", "damaged", "repaired", "removed"),
    "schedule": (
        *("created", "updated", "paused", "resumed", "completed", "cancelled", "deleted", "removed"),
        *("due_time_skipped", "runs_skipped", "ping_unexpected", "recovered", "set_aside"),
    ),
    "run": (
        *("requested", "completed", "failed", "cancelled", "retried", "removed"),
        *("cancel_requested", "overdue"),
    ),
    "import": ("created", "progressed", "completed", "failed", "undo_requested", "undone", "removed"),
    "notification": ("created", "read", "removed"),
}


def check_pattern(pattern: str) -> None:
    """
    Raises:
        ValidationError: nothing that happens fits it; the message names what may have been meant.
    """
    kind, dot, verb = pattern.partition(".")
    if pattern == EVERYTHING:
        return
    if kind not in followed_kinds():
        raise ma.ValidationError(
            _refusal(f"There are no events of '{kind}'.", kind, followed_kinds(), "{}.*")
        )
    if not dot:
        raise ma.ValidationError(f"Did you mean '{kind}.*'?")
    verbs = VERBS.get(kind, ())
    if verb != EVERYTHING and verb not in verbs:
        raise ma.ValidationError(_refusal(f"There is no event '{pattern}'.", verb, verbs, f"{kind}.{{}}"))


def is_wanted(event_type: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits the type."""
    kind = event_type.partition(".")[0]
    return any(pattern in (EVERYTHING, f"{kind}.*", event_type) for pattern in patterns)


def _refusal(problem: str, given: str, known: Iterable[str], form: str) -> str:
    close = get_close_matches(given, known, n=1)
    hint = f"Did you mean '{form.format(close[0])}'?" if close else f"Known are {', '.join(sorted(known))}."
    return f"{problem} {hint}"
