"""What who follows files is shown, and where the files are."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from taskapi.core.db import session
from taskapi.files.models import StoredFile
from taskapi.files.schemas import FileSchema


def show_files(ids: Collection[UUID]) -> Mapping[UUID, dict[str, Any]]:
    """What is known of files, as their list shows it."""
    schema = FileSchema()
    found = session().scalars(sa.select(StoredFile).where(StoredFile.id.in_(ids)))
    return {file.id: schema.dump(file) for file in found}


def tasks_of_files(ids: Collection[UUID]) -> dict[UUID, UUID | None]:
    """The task of each file that is there, if it is attached to one."""
    found = session().execute(sa.select(StoredFile.id, StoredFile.task_id).where(StoredFile.id.in_(ids)))
    return {file_id: task_id for file_id, task_id in found}  # noqa: C416 - rows are no pairs for the type checker
