"""What who follows their notifications is shown."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.notifications.models import Notification
from taskapi.notifications.schemas import NotificationSchema


def show_notifications(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Notifications as their list shows them."""
    found = session().scalars(sa.select(Notification).where(Notification.id.in_(ids)))
    schema = NotificationSchema()
    return {notification.id: schema.dump(notification) for notification in found}
