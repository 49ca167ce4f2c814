"""The application factory: the one place that knows every room."""

from flask import Flask

from taskapi.accounts.tokens import install_tokens
from taskapi.background.connection import init_redis
from taskapi.cli import register_commands
from taskapi.clients.mail import init_mail
from taskapi.clients.storage import init_storage
from taskapi.clients.weather import init_weather
from taskapi.config import Settings, load_settings
from taskapi.core.application import Application
from taskapi.core.cors import install_cors
from taskapi.core.db import init_database
from taskapi.core.http import install_http
from taskapi.core.logging import configure_logging
from taskapi.core.meters import init_meters
from taskapi.core.migrating import install_migrations
from taskapi.core.proxies import install_proxies
from taskapi.core.refusals import install_refusals
from taskapi.legacy.paths import install_legacy_paths
from taskapi.version import VERSION
from taskapi.wiring import connect_rooms


def create_app(settings: Settings | None = None, *, endpoints: bool = True) -> Flask:
    """Build the application. Nothing is connected: that happens on first use.

    Args:
        settings: read from the environment when left out.
        endpoints: False for a process that answers no requests: they take a seventh of the start.

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
    install_http(app)
    if endpoints:
        from taskapi.endpoints import install_endpoints

        install_endpoints(app)
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
