"""GET /api/notifications/unread-count"""

from flask import Flask

from tests.notifications.outbox import put_notifications
from tests.people import Person


def test_only_ones_own_unread_notifications_count(app: Flask, owner: Person, teammate: Person) -> None:
    put_notifications(app, owner.id, 3)
    put_notifications(app, teammate.id, 1)
    first = owner.get("/api/notifications").json["items"][0]["id"]
    owner.put(f"/api/notifications/{first}/read")
    assert owner.get("/api/notifications/unread-count").json == {"unread_count": 2}


def test_somebody_without_notifications_has_none_unread(owner: Person) -> None:
    assert owner.get("/api/notifications/unread-count").json == {"unread_count": 0}
