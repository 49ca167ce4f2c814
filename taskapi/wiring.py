"""Tells the floor and the rooms of each other what they must not import: who follows, hears, closes."""

from flask import Flask

from taskapi.accounts import sign_in
from taskapi.accounts.standing import find_actors, find_standing, queue_up
from taskapi.analytics.report import REPORT
from taskapi.background.cache import RedisCache
from taskapi.background.enqueue import WAKE_RELAY, wake_scheduler
from taskapi.background.hints import RedisHints
from taskapi.background.limits import count_in_redis
from taskapi.calendar.closing import delete_feeds_of, foresee_feeds_of
from taskapi.core import events
from taskapi.core.access import set_authenticator
from taskapi.core.cache import set_shared_cache
from taskapi.core.closing import (
    on_account_closing,
    on_account_switching,
    on_counting,
    on_foreseeing,
    on_handing_over,
    on_reclaiming,
)
from taskapi.core.following import let_follow, owners_and_administrators, owners_only
from taskapi.core.freshness import leap, touch_standing
from taskapi.core.hints import set_shared_hints
from taskapi.core.idempotency import forget_answers_of
from taskapi.core.limits import set_shared_counter
from taskapi.core.standing import set_standing
from taskapi.core.visibility import set_in_use, set_made_by, set_visible_ids
from taskapi.events.retention import forget_reader
from taskapi.events.webhooks.closing import foresee_webhooks_of, forget_webhooks_of
from taskapi.files.closing import count_files_of, delete_files_of, foresee_files_of, hand_over_files_of
from taskapi.files.following import show_files
from taskapi.files.mailing import attachment
from taskapi.models import ALL_MODELS
from taskapi.notifications import alerts
from taskapi.notifications import security as security_mails
from taskapi.notifications import service as notifications
from taskapi.notifications.attachments import set_attachment_reader
from taskapi.notifications.closing import (
    delete_messages_of,
    foresee_messages_of,
    withhold_emails_of,
    withhold_emails_to_others,
)
from taskapi.notifications.following import show_notifications
from taskapi.notifications.imports import on_import_ended
from taskapi.schedules.actions import registry
from taskapi.schedules.actions.create_task import CREATE_TASK
from taskapi.schedules.actions.digest import DIGEST
from taskapi.schedules.actions.expect_ping import EXPECT_PING
from taskapi.schedules.actions.file_cleanup import FILE_CLEANUP
from taskapi.schedules.actions.loading import load_plugins
from taskapi.schedules.actions.reminder import REMINDER
from taskapi.schedules.actions.webhook import WEBHOOK
from taskapi.schedules.closing import forget_schedules_of
from taskapi.schedules.following import show_runs, show_schedules
from taskapi.schedules.handing_over import (
    count_schedules_of,
    foresee_schedules_of,
    forget_listeners_of,
    hand_over_schedules_of,
)
from taskapi.schedules.switching import follow_owner
from taskapi.tasks import queries as tasks
from taskapi.tasks import telling
from taskapi.tasks.closing import hand_over_tasks_of, settle_tasks_of
from taskapi.tasks.fates import count_tasks_of, foresee_tasks_of
from taskapi.tasks.following import (
    readers_of_files,
    readers_of_tags,
    readers_of_tasks,
    show_comments,
    show_tags,
    show_tasks,
)
from taskapi.tasks.freshening import PATTERNS, freshen
from taskapi.tasks.importing.closing import foresee_imports_of, forget_imports_of
from taskapi.tasks.importing.following import show_imports


def connect_rooms(app: Flask) -> None:
    """Tell the floor what it must not know: who signs in, counts and listens, and what can be done."""
    assert ALL_MODELS
    with app.app_context():
        set_authenticator(sign_in.authenticate, sign_in.recognise)
        set_standing(find_standing, find_actors, queue_up)
        set_shared_counter(count_in_redis)
        set_shared_cache(RedisCache())
        set_shared_hints(RedisHints())
    events.set_relay_waker(lambda: wake_scheduler(WAKE_RELAY))
    events.subscribe("mail.schedule_created", "schedule.created", notifications.on_schedule_created)
    ended, tells = notifications.on_run_ended, notifications.tells_of_run
    events.subscribe("mail.run_completed", "run.completed", ended, concerns=tells)
    events.subscribe("mail.run_failed", "run.failed", ended, concerns=tells)
    events.subscribe("mail.file_damaged", "file.damaged", notifications.on_file_damaged)
    events.subscribe("mail.webhook_disabled", "webhook.disabled", notifications.on_webhook_disabled)
    for event_type in ("import.completed", "import.failed"):
        events.subscribe(f"notify.{event_type}", event_type, on_import_ended)
    for event_type, alert in alerts.ALERTS.items():
        events.subscribe(f"mail.{alert.kind}", event_type, alerts.on_alert)
    for event_type in security_mails.LINKS:
        events.subscribe(f"mail.{event_type}", event_type, security_mails.mail_link)
    for event_type in security_mails.NEWS:
        events.subscribe(f"mail.{event_type}", event_type, security_mails.mail_news)
    set_attachment_reader(attachment)
    for event_type, tell in telling.NEWS.items():
        events.subscribe(f"tell.{event_type}", event_type, tell)
    set_visible_ids("task", tasks.visible_ids)
    set_made_by("task", tasks.made_by)
    set_in_use("task", tasks.in_use)
    for pattern in PATTERNS:
        events.watch(f"freshness.{pattern}", pattern, freshen)
    _let_standings_end()
    _let_follow()
    _settle_accounts()
    for action in (CREATE_TASK, DIGEST, EXPECT_PING, FILE_CLEANUP, REMINDER, REPORT, WEBHOOK):
        registry.register(action)
    load_plugins()


def _let_standings_end() -> None:
    """Believe no kept standing, and nothing kept at all, of before these events.

    At once, and again by the relay: the process that recorded the event may have died right after
    its commit.
    """
    for pattern in ("user.*", "session.*", "token.*"):
        events.watch(f"standing.{pattern}", pattern, touch_standing)
        events.subscribe(f"standing.{pattern}", pattern, touch_standing)
    events.subscribe("freshness.restored", "backup.restored", lambda _event: leap())


def _let_follow() -> None:
    """Say of which things people are told, and who."""
    let_follow("task", find_readers=readers_of_tasks, show=show_tasks, ages_lists=True)
    let_follow("comment", find_readers=readers_of_tasks, show=show_comments, ages_lists=True)
    let_follow("tag", find_readers=readers_of_tags, show=show_tags, ages_lists=True)
    let_follow("file", find_readers=readers_of_files, show=show_files, ages_lists=True)
    let_follow("schedule", find_readers=owners_and_administrators, show=show_schedules)
    let_follow("run", find_readers=owners_and_administrators, show=show_runs)
    let_follow("import", find_readers=owners_and_administrators, show=show_imports)
    let_follow("notification", find_readers=owners_only, show=show_notifications)


def _settle_accounts() -> None:
    """Say what becomes of people's things when their accounts are closed, and how many there are."""
    on_account_closing("schedules", forget_schedules_of)
    on_account_closing("tasks", settle_tasks_of)
    on_account_closing("files", delete_files_of)
    on_account_closing("notifications", delete_messages_of)
    on_account_closing("imports", forget_imports_of)
    on_account_closing("calendar", delete_feeds_of)
    on_account_closing("webhooks", forget_webhooks_of)
    on_account_closing("idempotency", forget_answers_of)
    on_account_closing("events", forget_reader)
    on_reclaiming("calendar", delete_feeds_of)
    on_reclaiming("webhooks", forget_webhooks_of)
    on_reclaiming("schedules", forget_listeners_of)
    on_reclaiming("notifications", withhold_emails_to_others)
    on_account_switching("schedules", follow_owner)
    on_account_switching("notifications", withhold_emails_of)
    on_handing_over("schedules", hand_over_schedules_of)
    on_handing_over("tasks", hand_over_tasks_of)
    on_handing_over("files", hand_over_files_of)
    on_foreseeing("tasks", foresee_tasks_of)
    on_foreseeing("files", foresee_files_of)
    on_foreseeing("schedules", foresee_schedules_of)
    on_foreseeing("webhooks", foresee_webhooks_of)
    on_foreseeing("calendar", foresee_feeds_of)
    on_foreseeing("imports", foresee_imports_of)
    on_foreseeing("notifications", foresee_messages_of)
    on_counting("tasks", count_tasks_of)
    on_counting("schedules", count_schedules_of)
    on_counting("files", count_files_of)
