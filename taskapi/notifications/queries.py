"""Reads and conditional updates of notifications, scoped to whose they are."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.notifications.models import Notification


def page_of_notifications(user_id: UUID, page: PageRequest, *, unread: bool | None) -> Page[Notification]:
    statement = sa.select(Notification).where(Notification.user_id == user_id)
    if unread is not None:
        statement = statement.where(Notification.is_read.is_(not unread))
    return fetch_page(
        session(),
        statement,
        request_=page,
        sorts={"created_at": Notification.created_at},
        default_sort="-created_at",
        key=Notification.id,
    )


def count_unread(user_id: UUID) -> int:
    unread = (Notification.user_id == user_id, ~Notification.is_read)
    return session().execute(sa.select(sa.func.count()).select_from(Notification).where(*unread)).scalar_one()


def find_notification(user_id: UUID, notification_id: UUID) -> Notification | None:
    mine = (Notification.id == notification_id, Notification.user_id == user_id)
    return session().scalar(sa.select(Notification).where(*mine))


def tasks_told_of(user_id: UUID, kind: str, since: datetime) -> sa.Select[UUID | None]:
    """The ids of the tasks that notifications of this kind were about."""
    mine = (Notification.user_id == user_id, Notification.created_at >= since, Notification.type == kind)
    return sa.select(Notification.task_id).where(*mine, Notification.task_id.is_not(None))


def mark_all_read(user_id: UUID) -> Sequence[UUID]:
    """Those that were not read."""
    marked = (
        sa.update(Notification)
        .where(Notification.user_id == user_id, ~Notification.is_read)
        .values(is_read=True)
        .returning(Notification.id)
    )
    return session().scalars(marked.execution_options(synchronize_session=False)).all()
