"""What becomes of imports when their owner's account is closed."""

from uuid import UUID

import sqlalchemy as sa

from taskapi.core.access import Actor
from taskapi.core.closing import all_deleted
from taskapi.core.db import session
from taskapi.files import objects
from taskapi.tasks.importing.models import TaskImport

foresee_imports_of = all_deleted("imports", TaskImport.owner_id)


def forget_imports_of(user_id: UUID, _actor: Actor | None) -> None:
    """Remove the imports of a user; their tasks are not this room's to decide."""
    theirs = sa.delete(TaskImport).where(TaskImport.owner_id == user_id).returning(TaskImport.storage_key)
    statement = theirs.execution_options(synchronize_session=False)
    for key in session().scalars(statement).all():
        objects.give_up_object(key)
