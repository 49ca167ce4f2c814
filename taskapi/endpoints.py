"""The endpoints of all rooms: what a process needs that answers requests."""

from flask import Flask

from taskapi.accounts.recovery_views import blp as recovery_blp
from taskapi.accounts.second_factor_views import blp as second_factor_blp
from taskapi.accounts.token_views import blp as tokens_blp
from taskapi.accounts.views import blp as accounts_blp
from taskapi.admin.audit_views import blp as admin_audit_blp
from taskapi.admin.dashboard_views import install_dashboard
from taskapi.admin.queue_views import blp as admin_queues_blp
from taskapi.admin.run_views import blp as admin_runs_blp
from taskapi.admin.schedule_views import blp as admin_schedules_blp
from taskapi.admin.stats_views import blp as admin_stats_blp
from taskapi.admin.task_views import blp as admin_tasks_blp
from taskapi.admin.user_views import blp as admin_users_blp
from taskapi.analytics.views import blp as analytics_blp
from taskapi.calendar.feed_views import blp as calendar_blp
from taskapi.calendar.views import blp as calendar_feeds_blp
from taskapi.core.api import Api
from taskapi.core.docs import install_docs
from taskapi.core.profile import add_profile_section
from taskapi.events.live.views import blp as live_blp
from taskapi.events.views import blp as changes_blp
from taskapi.events.webhooks.views import blp as webhooks_blp
from taskapi.files import service as files
from taskapi.files.schemas import StorageUseSchema
from taskapi.files.upload_views import blp as uploads_blp
from taskapi.files.verify_views import blp as verification_blp
from taskapi.files.views import blp as files_blp
from taskapi.notifications.views import blp as notifications_blp
from taskapi.ops.views import blp as health_blp
from taskapi.schedules.backfill_views import blp as backfills_blp
from taskapi.schedules.ping_views import blp as pings_blp
from taskapi.schedules.run_views import blp as runs_blp
from taskapi.schedules.views import blp as schedules_blp
from taskapi.tasks.attachment_views import blp as attachments_blp
from taskapi.tasks.comment_views import blp as comments_blp
from taskapi.tasks.history_views import blp as history_blp
from taskapi.tasks.import_views import blp as imports_blp
from taskapi.tasks.tag_views import blp as tags_blp
from taskapi.tasks.views import blp as tasks_blp

BLUEPRINTS = (
    *(health_blp, accounts_blp, recovery_blp, second_factor_blp, tokens_blp),
    *(schedules_blp, runs_blp, backfills_blp, pings_blp, notifications_blp),
    *(files_blp, uploads_blp, verification_blp, changes_blp),
    *(calendar_blp, calendar_feeds_blp, webhooks_blp),
    live_blp,
    *(admin_stats_blp, admin_users_blp, admin_tasks_blp, admin_schedules_blp, admin_runs_blp),
    admin_audit_blp,
    admin_queues_blp,
    *(analytics_blp, tasks_blp, imports_blp, comments_blp, attachments_blp, tags_blp, history_blp),
)


def install_endpoints(app: Flask) -> None:
    """Give the application its endpoints, their document and its pages."""
    add_profile_section("storage", StorageUseSchema, files.storage_use)
    api = Api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    install_docs(app)
    install_dashboard(app)
