"""The application factory: the one place that knows every room."""

from flask import Flask

from taskapi.accounts.recovery_views import blp as recovery_blp
from taskapi.accounts.second_factor_views import blp as second_factor_blp
from taskapi.accounts.token_views import blp as tokens_blp
from taskapi.accounts.tokens import install_tokens
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
from taskapi.background.connection import init_redis
from taskapi.calendar.feed_views import blp as calendar_blp
from taskapi.calendar.views import blp as calendar_feeds_blp
from taskapi.cli import register_commands
from taskapi.clients.mail import init_mail
from taskapi.clients.storage import init_storage
from taskapi.clients.weather import init_weather
from taskapi.config import Settings, load_settings
from taskapi.core.api import Api
from taskapi.core.application import Application
from taskapi.core.cors import install_cors
from taskapi.core.db import init_database
from taskapi.core.docs import install_docs
from taskapi.core.http import install_http
from taskapi.core.logging import configure_logging
from taskapi.core.meters import init_meters
from taskapi.core.migrating import install_migrations
from taskapi.core.profile import add_profile_section
from taskapi.core.proxies import install_proxies
from taskapi.core.refusals import install_refusals
from taskapi.events.live.views import blp as live_blp
from taskapi.events.views import blp as changes_blp
from taskapi.events.webhooks.views import blp as webhooks_blp
from taskapi.files import service as files
from taskapi.files.schemas import StorageUseSchema
from taskapi.files.upload_views import blp as uploads_blp
from taskapi.files.verify_views import blp as verification_blp
from taskapi.files.views import blp as files_blp
from taskapi.legacy.paths import install_legacy_paths
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
from taskapi.version import VERSION
from taskapi.wiring import connect_rooms

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


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application. Nothing is connected: that happens on first use.

    Args:
        settings: read from the environment when left out.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    settings = settings or load_settings()
    configure_logging(settings, process="web")
    app = Application("taskapi", static_folder=None)
    app.extensions["taskapi_settings"] = settings
    app.config.from_mapping(_flask_config(settings))
    init_meters(app, settings)
    init_database(app, settings)
    install_migrations(app)
    install_tokens(app)
    init_redis(app, settings)
    init_mail(app, settings)
    init_storage(app, settings)
    init_weather(app, settings)
    _register_api(app)
    install_refusals(app)
    install_cors(app, settings)
    install_legacy_paths(app, settings)
    install_proxies(app, settings)
    connect_rooms(app)
    register_commands(app)
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    return {
        "SECRET_KEY": settings.secret_key,
        "PUBLIC_URL": settings.public_url,
        "MAX_CONTENT_LENGTH": settings.max_content_length,
        "SQLALCHEMY_TRACK_MODIFICATIONS": False,
        "API_TITLE": settings.app_name,
        "API_VERSION": VERSION,
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
    }


def _register_api(app: Flask) -> None:
    install_http(app)
    add_profile_section("storage", StorageUseSchema, files.storage_use)
    api = Api(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    install_docs(app)
    install_dashboard(app)
