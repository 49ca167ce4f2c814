"""An installation that answers the paths of older systems, too."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.app import create_app
from tests.conftest import settings_for
from tests.people import Person, make_person


@pytest.fixture(scope="module")
def legacy_app(migrated_app: Flask, redis_url: str) -> Flask:
    """On the database that the tests' own application empties."""
    settings = migrated_app.extensions["taskapi_settings"]
    return create_app(
        settings_for(
            settings.data_dir,
            redis_url,
            DATABASE_URL=settings.database_url,
            LEGACY_PATHS="1",
            CORS_ORIGINS="https://app.example.org",
            MAX_FILE_SIZE="1000",
            RATE_LIMIT_AUTH="3/minute",
        )
    )


@pytest.fixture
def old(app: Flask, legacy_app: Flask) -> FlaskClient:
    return legacy_app.test_client()


@pytest.fixture
def owner(app: Flask, legacy_app: Flask) -> Person:
    return make_person(legacy_app, "olivia@example.org")


@pytest.fixture
def admin(app: Flask, legacy_app: Flask) -> Person:
    return make_person(legacy_app, "ada@example.org", role="admin")
