"""Rules of notifications: who is told what, in the application and by e-mail."""

from typing import Any
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.errors import NotFound
from taskapi.core.events import Event, record_event
from taskapi.core.paging import Page, PageRequest
from taskapi.core.upserts import insert_if_new
from taskapi.notifications import outbox, queries
from taskapi.notifications.models import MailSuppression, Notification
from taskapi.notifications.recipients import find_recipient, mail
from taskapi.notifications.templates import interval


class NotificationNotFound(NotFound):
    """There is no such notification, or it is somebody else's."""

    code = "notification_not_found"
    title = "Notification not found"


def notify(
    *, key: str, user_id: UUID, kind: str, title: str, message: str, task_id: UUID | None = None
) -> bool:
    """Put a notification before a user, unless one with this key was; whether it is new."""
    notification_id = insert_if_new(
        Notification,
        key=key,
        user_id=user_id,
        type=kind,
        title=title[:300],
        message=message,
        task_id=task_id,
        is_read=False,
        created_at=clock.now(),
    )
    if notification_id is None:
        return False
    record_event("notification.created", subject=("notification", notification_id), owner_id=user_id)
    return True


def remind(
    *,
    user_id: UUID,
    title: str,
    message: str,
    to: str | None,
    key: str,
    task: tuple[UUID, str] | None = None,
) -> list[str]:
    """Remind a user in the application, and them or somebody else by e-mail; the addresses mailed.

    Args:
        task: id and title of what they are reminded of.
        key: makes it happen once, however often it is asked for.

    Raises:
        MailLimitReached: nobody is told.
    """
    recipient = find_recipient(user_id=user_id, kind="reminder", to=to, key=key)
    task_id = task[0] if task else None
    notify(
        key=f"{key}:reminder",
        user_id=user_id,
        kind="reminder",
        title=title,
        message=message,
        task_id=task_id,
    )
    context = {"title": title, "message": message, "task": task}
    return mail(recipient, subject=f"Reminder: {title}", context=context)


SUBJECTS = {
    "schedule_created": "Scheduled: {name}",
    "run_completed": "Completed: {name}",
    "run_failed": "Failed: {name}",
    "file_damaged": "Damaged: {name}",
    "webhook_disabled": "Switched off: {name}",
}
# By what is wrong with it.
DAMAGES = {
    "changed": "What is stored of this file is not what was uploaded. It is not served any more.",
    "missing": "The content of this file is gone from the store.",
}


def on_schedule_created(event: Event) -> None:
    """Tell the owner of a new schedule, if it is to be told."""
    state = event.after or {}
    if event.owner_id is None or "created" not in state.get("notify", ()):
        return
    when = _describe_trigger(state)
    notify(
        key=f"event:{event.id}",
        user_id=event.owner_id,
        kind="schedule_created",
        title=SUBJECTS["schedule_created"].format(name=state["name"]),
        message=when,
    )
    context = {**state, "when": when, "reason": "You made this schedule."}
    _mail_owner(event, "schedule_created", context)


def tells_of_run(event: Event) -> bool:
    """Whether the schedule of a run wants its owner to be told how it ended."""
    state = event.after or {}
    wanted = event.type.removeprefix("run.") in state.get("notify", ())
    return event.owner_id is not None and wanted and bool(state.get("alert", True))


def on_run_ended(event: Event) -> None:
    """Tell the owner how a run ended, which ``tells_of_run``."""
    state = event.after or {}
    outcome = event.type.removeprefix("run.")
    if event.owner_id is None:
        return
    kind = f"run_{outcome}"
    error = state["error"] or {"code": "unknown", "message": "No reason is known."}
    notify(
        key=f"event:{event.id}",
        user_id=event.owner_id,
        kind=kind,
        title=SUBJECTS[kind].format(name=state["schedule_name"]),
        message=error["message"] if outcome == "failed" else "",
    )
    context = {
        "name": state["schedule_name"],
        "error": error,
        "due_words": "asked for" if state["trigger"] == "manual" else "due",
        "reason": "You own the schedule of this run.",
    }
    _mail_owner(event, kind, {**state, **context})


def on_file_damaged(event: Event) -> None:
    """Tell the owner of a file that its content is damaged, once per event."""
    state = event.after or {}
    if event.owner_id is None:
        return
    facts = DAMAGES[state["damage"]]
    notify(
        key=f"event:{event.id}",
        user_id=event.owner_id,
        kind="file_damaged",
        title=SUBJECTS["file_damaged"].format(name=state["filename"]),
        message=facts,
    )
    context = {"name": state["filename"], "facts": facts, "reason": "You own this file."}
    _mail_owner(event, "file_damaged", context)


def on_webhook_disabled(event: Event) -> None:
    """Tell the owner of a webhook that nothing is sent to it any more, once per event."""
    state = event.after or {}
    if event.owner_id is None:
        return
    notify(
        key=f"event:{event.id}",
        user_id=event.owner_id,
        kind="webhook_disabled",
        title=SUBJECTS["webhook_disabled"].format(name=state["name"]),
        message=state["facts"],
    )
    _mail_owner(event, "webhook_disabled", {**state, "reason": "You own this webhook."})


def _mail_owner(event: Event, kind: str, context: dict[str, Any]) -> None:
    assert event.owner_id is not None
    user, wants_mail = accounts.mail_preference(user_id=event.owner_id, kind=kind)
    if user is None or not wants_mail:
        return
    outbox.queue_email(
        key=f"event:{event.id}",
        kind=kind,
        recipient=user.email,
        user_id=user.id,
        subject=SUBJECTS[kind].format(name=context["name"]),
        context={"timezone": user.timezone, "subject_id": event.subject_id, **context},
    )


def _describe_trigger(state: dict[str, Any]) -> str:
    if state["run_at"]:
        return "Once"
    if state["cron"]:
        return f"By the cron line {state['cron']} ({state['timezone']})"
    if state["rrule"]:
        return f"By the rule {' '.join(state['rrule'].split())} ({state['timezone']})"
    return interval(state["every"]).capitalize()


def list_notifications(*, actor: Actor, page: PageRequest, unread: bool | None = None) -> Page[Notification]:
    """One's notifications, newest first."""
    return queries.page_of_notifications(actor.user_id, page, unread=unread)


def count_unread(*, actor: Actor) -> dict[str, int]:
    """How many notifications one has not read."""
    return {"unread_count": queries.count_unread(actor.user_id)}


def mark_read(*, actor: Actor, notification_id: UUID) -> Notification:
    """
    Raises:
        NotificationNotFound
    """
    notification = queries.find_notification(actor.user_id, notification_id)
    if notification is None:
        raise NotificationNotFound
    if not notification.is_read:
        notification.is_read = True
        session().flush()
        _record_read(actor, notification.id)
    return notification


def mark_all_read(*, actor: Actor) -> dict[str, int]:
    """Mark all of one's notifications as read."""
    for notification_id in queries.mark_all_read(actor.user_id):
        _record_read(actor, notification_id)
    return count_unread(actor=actor)


def _record_read(actor: Actor, notification_id: UUID) -> None:
    """Whoever else shows how many are unread, such as another window, learns of it."""
    subject = ("notification", notification_id)
    record_event("notification.read", subject=subject, actor=actor, owner_id=actor.user_id)


def unsubscribe(*, user_id: UUID | None, address: str | None, kind: str) -> None:
    """Send no more e-mail of this kind to the user, or none at all to a stranger's address."""
    if user_id is not None:
        accounts.switch_mail_off(user_id=user_id, kind=kind)
    elif address is not None:
        insert_if_new(MailSuppression, address_key=address.casefold(), created_at=clock.now())
