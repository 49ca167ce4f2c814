"""``insert_if_new``: a row per unique key, and no error when it exists."""

import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.upserts import insert_if_new
from taskapi.notifications.models import MailSuppression


def suppress(address: str) -> object:
    return insert_if_new(MailSuppression, address_key=address, created_at=clock.now())


def test_the_first_row_of_a_key_is_inserted(context: Flask) -> None:
    with transaction():
        made = suppress("a@example.org")
    assert session().scalar(sa.select(MailSuppression.id)) == made


def test_a_second_row_of_a_key_is_not_and_the_transaction_goes_on(context: Flask) -> None:
    with transaction():
        suppress("a@example.org")
        assert suppress("a@example.org") is None
        assert suppress("b@example.org") is not None
    assert session().scalar(sa.select(sa.func.count()).select_from(MailSuppression)) == 2
