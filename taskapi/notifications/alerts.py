"""What the owner of a schedule is told when something is not as it should be, or is again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taskapi.accounts import service as accounts
from taskapi.core.events import Event
from taskapi.notifications import outbox
from taskapi.notifications.service import notify
from taskapi.notifications.templates import on_the_wall

State = dict[str, Any]


def _always(_state: State) -> bool:
    return True


def _tells_failures(state: State) -> bool:
    return "failed" in state["notify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A notification, and a mail of the same kind.

    Attributes:
        facts: what happened, for a reader in this time zone.
        told: whether the event is one to tell of.
        mailed: whether it is also mailed, if the reader has not switched such mails off.
    """

    kind: str
    subject: str
    facts: Callable[[State, str], str]
    advice: str
    told: Callable[[State], bool] = _always
    mailed: Callable[[State], bool] = _tells_failures


def _missed(state: State, zone: str) -> str:
    number, last = state["missed"], on_the_wall(state["last_missed"], zone)
    if number == 1:
        return f"The run due on {last} was not started by its deadline and was skipped."
    return f"{number} runs, the last due on {last}, were not started by their deadlines and were skipped."


def _overdue(state: State, zone: str) -> str:
    due, deadline = (on_the_wall(state[name], zone) for name in ("scheduled_for", "finish_by"))
    now = "is in progress" if state["status"] == "running" else "waits for a worker or for a retry"
    return f"The run due on {due} should have finished by {deadline}. It {now}, and goes on."


def _recovered(state: State, zone: str) -> str:
    failures = state["failures_in_row"]
    before = "1 failed run" if failures == 1 else f"{failures} failed runs in a row"
    return f"The run due on {on_the_wall(state['scheduled_for'], zone)} completed, after {before}."


def _unexpected(state: State, zone: str) -> str:
    came, due = (on_the_wall(state[name], zone) for name in ("at", "next_run_at"))
    caller = f" from {state['from']}" if state["from"] else ""
    return f"A call came{caller} on {came} that no run waited for. The next one is due on {due}."


# By the type of the event that asks for it.
ALERTS = {
    "schedule.runs_skipped": Alert(
        kind="run_missed",
        subject="Missed: {name}",
        told=lambda state: bool(state["missed"]),
        facts=_missed,
        advice="Are enough workers running, and is start_deadline long enough?",
    ),
    "run.overdue": Alert(
        kind="run_overdue",
        subject="Overdue: {name}",
        facts=_overdue,
        advice="Its log may say what it is waiting for.",
    ),
    "schedule.recovered": Alert(
        kind="run_recovered",
        subject="Recovered: {name}",
        told=_tells_failures,
        facts=_recovered,
        advice="Nothing is to be done.",
    ),
    "schedule.paused": Alert(
        kind="schedule_paused",
        subject="Paused: {name}",
        told=lambda state: state.get("reason") == "failures",
        mailed=_always,
        facts=lambda state, _zone: state["fault"],
        advice="Mend what is wrong, then resume the schedule: due times of the pause fall under catch_up.",
    ),
    "schedule.ping_unexpected": Alert(
        kind="ping_unexpected",
        subject="Unexpected call: {name}",
        facts=_unexpected,
        advice="Does the job run more often than the schedule says, or later than its grace time?",
    ),
}


def on_alert(event: Event) -> None:
    """Tell the owner, once per event."""
    alert, state = ALERTS[event.type], event.after or {}
    if event.owner_id is None or not alert.told(state):
        return
    user, wants_mail = accounts.mail_preference(user_id=event.owner_id, kind=alert.kind)
    if user is None:
        return
    facts, title = alert.facts(state, user.timezone), alert.subject.format(name=state["schedule_name"])
    key = f"event:{event.id}"
    notify(key=key, user_id=user.id, kind=alert.kind, title=title, message=facts)
    if not wants_mail or not alert.mailed(state):
        return
    outbox.queue_email(
        key=key,
        kind=alert.kind,
        recipient=user.email,
        user_id=user.id,
        subject=title,
        context={
            "name": state["schedule_name"],
            "facts": facts,
            "advice": alert.advice,
            "action": state["action"],
            "subject_type": event.subject_type.capitalize(),
            "subject_id": event.subject_id,
            "reason": "You own this schedule.",
        },
    )
