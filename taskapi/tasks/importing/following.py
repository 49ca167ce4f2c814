"""What who follows imports is shown."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.tasks.importing.models import TaskImport
from taskapi.tasks.importing.schemas import TaskImportSchema


def show_imports(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """Imports as lists show them, without what is wrong with their rows."""
    schema = TaskImportSchema()
    found = session().scalars(sa.select(TaskImport).where(TaskImport.id.in_(ids)))
    return {row.id: schema.dump(row) for row in found}
