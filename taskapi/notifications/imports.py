"""What the owner of an import is told at its end: once for all of its rows."""

from typing import Any

from taskapi.core.events import Event
from taskapi.notifications.service import notify

# By whether it was a trial.
TITLES = {
    ("import.completed", False): "Imported: {filename}",
    ("import.completed", True): "Checked: {filename}",
    ("import.failed", False): "Import failed: {filename}",
    ("import.failed", True): "Check failed: {filename}",
}
COUNTS = (("created", "new"), ("updated", "changed"), ("unchanged", "unchanged"), ("failed", "with errors"))


def on_import_ended(event: Event) -> None:
    """Tell the owner how an import ended, in the application."""
    state = event.after
    # Their events say nothing more once an account is closed.
    if event.owner_id is None or state is None:
        return
    notify(
        key=f"event:{event.id}",
        user_id=event.owner_id,
        kind=event.type.replace(".", "_"),
        title=TITLES[event.type, state["dry_run"]].format(filename=state["filename"]),
        message=_message(state),
    )


def _message(state: dict[str, Any]) -> str:
    """Such as ``120 new, 3 with errors``, and before it why the import failed, if it did."""
    counts = ", ".join(f"{state[name]} {words}" for name, words in COUNTS if state[name])
    reason = state["error"]["message"] if state["error"] else ""
    return " ".join(part for part in (reason, f"Rows: {counts or 'none'}.") if part)
