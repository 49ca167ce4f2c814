"""What every connection is told."""

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import session

on_postgresql = pytest.mark.parametrize("migrated_app", ["postgresql"], indirect=True)


@on_postgresql
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TimeZone", "UTC"),
        ("statement_timeout", "30s"),
        # A stopped process must not keep its locks: others wait for them.
        ("idle_in_transaction_session_timeout", "15s"),
    ],
)
def test_postgresql_is_told_its_limits(context: Flask, setting: str, value: str) -> None:
    assert session().scalar(sa.text(f"SHOW {setting}")) == value


def test_an_error_of_the_database_does_not_show_what_was_written(context: Flask) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        session().execute(sa.text("INSERT INTO nowhere VALUES (:password)"), {"password": "hunter two"})
    assert "hunter two" not in str(caught.value)
