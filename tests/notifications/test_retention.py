"""Forgetting notifications and e-mails that are old."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.notifications import retention
from taskapi.notifications.models import Email, Notification
from taskapi.ops.jobs import forget_old_rows
from tests.people import Person
from tests.settings import settings_changed


def notification(person: Person, name: str, days: float, **fields: Any) -> Notification:
    told: dict[str, Any] = {"type": "reminder", "title": name, "message": "Tea"}
    at = clock.now() - timedelta(days=days)
    return Notification(id=new_id(), key=name, user_id=person.id, created_at=at, **told, **fields)


def mail(person: Person, name: str, days: float, **fields: Any) -> Email:
    told: dict[str, Any] = {"kind": "reminder", "recipient": person.email, "subject": name}
    told |= {"text": "", "html": ""}
    at = clock.now() - timedelta(days=days)
    return Email(id=new_id(), key=name, user_id=person.id, created_at=at, **told, **fields)


def left() -> set[str]:
    keys = (session().scalars(sa.select(model.key)).all() for model in (Notification, Email))
    return {key for some in keys for key in some}


def keep(*rows: Notification | Email) -> None:
    # Each by itself: their ids rise as they were made.
    for row in rows:
        with transaction():
            session().add(row)


def test_what_is_old_is_forgotten_and_what_waits_is_not(context: Flask, owner: Person) -> None:
    keep(
        notification(owner, "read", 366, is_read=True),
        notification(owner, "unread", 366),
        mail(owner, "sent", 366, status="sent"),
        mail(owner, "failed", 366, status="failed"),
        mail(owner, "waits", 366, status="pending"),
        notification(owner, "new", 364),
        mail(owner, "newer", 364, status="sent"),
    )
    forget_old_rows()
    assert left() == {"waits", "new", "newer"}


def test_all_is_kept_if_so_wanted(context: Flask, owner: Person) -> None:
    keep(notification(owner, "old", 4_000), mail(owner, "older", 4_000, status="sent"))
    with settings_changed(context, notification_retention_days=0):
        forget_old_rows()
    assert left() == {"old", "older"}


def test_more_than_a_batch_is_forgotten_at_once(
    context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    waiting = [mail(owner, f"waits {number}", 400, status="pending") for number in range(3)]
    keep(*waiting, *(mail(owner, f"sent {number}", 400, status="sent") for number in range(5)))
    keep(*(mail(owner, f"new {number}", 1, status="sent") for number in range(3)))
    assert retention.forget_old_messages() == 5
    assert left() == {f"{word} {number}" for word in ("waits", "new") for number in range(3)}
