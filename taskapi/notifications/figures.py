"""What is wrong with e-mails, in figures for those who operate the system."""

import sqlalchemy as sa

from taskapi.core.db import database_now, session
from taskapi.notifications.models import Email

DAY_SECONDS = 86_400.0


def count_faults() -> dict[str, int]:
    """E-mails of the last day that were ``failed`` for good, and those ``waiting`` to be tried again."""
    waits = (Email.status.in_(("pending", "sending")), Email.last_error.is_not(None))
    failed = (Email.status == "failed", Email.created_at >= database_now(-DAY_SECONDS))
    counts = {"failed": failed, "waiting": waits}
    columns = [
        sa.select(sa.func.count()).select_from(Email).where(*conditions).scalar_subquery().label(name)
        for name, conditions in counts.items()
    ]
    return dict(session().execute(sa.select(*columns)).one()._mapping)
