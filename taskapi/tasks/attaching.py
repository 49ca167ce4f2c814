"""Rules of attachments: who may change a task attaches files to it, and who sees it downloads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from taskapi.config import Settings
from taskapi.core.access import Actor
from taskapi.core.db import savepoint
from taskapi.core.errors import DomainError
from taskapi.core.paging import Page, PageRequest
from taskapi.core.preconditions import Precondition
from taskapi.files import service as files
from taskapi.files.errors import QuotaExceeded
from taskapi.files.receiving import Part, Parts
from taskapi.files.uploading import create_file
from taskapi.tasks import editing, service

if TYPE_CHECKING:
    from taskapi.files.models import StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file that was attached."""

    file: "StoredFile"
    status: int = 201

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFile:
    """A file that was not, and why."""

    filename: str
    status: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What became of the files of a form, in the order in which they came."""

    task_id: UUID
    items: Sequence[KeptFile | RefusedFile]

    @property
    def is_whole(self) -> bool:
        return all(isinstance(item, KeptFile) for item in self.items)


def attach_files(*, actor: Actor, task_id: UUID, received: Parts, settings: Settings) -> Attached:
    """Attach to a task what has arrived; a file that is refused leaves the others alone.

    Raises:
        TaskNotFound, TaskForbidden, TokenRevoked, UploadExpired
        DomainError: all are refused, the first for this.
    """
    editing.check_may_change(actor, service.find_task(actor=actor, task_id=task_id))
    found = [_attach(actor, task_id, part, settings) for part in received.parts]
    refusals = [item for item in found if isinstance(item, DomainError)]
    if len(refusals) == len(found):
        raise refusals[0]
    items = [
        _refused(part, item) if isinstance(item, DomainError) else KeptFile(file=item)
        for part, item in zip(received.parts, found, strict=True)
    ]
    return Attached(task_id=task_id, items=items)


def _attach(actor: Actor, task_id: UUID, part: Part, settings: Settings) -> "StoredFile | DomainError":
    if part.upload is None:
        assert part.refusal is not None
        return part.refusal
    try:
        with savepoint():
            return create_file(actor=actor, upload=part.upload, settings=settings, task_id=task_id)
    except QuotaExceeded as refusal:
        return refusal


def _refused(part: Part, refusal: DomainError) -> RefusedFile:
    return RefusedFile(
        filename=part.filename, status=refusal.status, code=refusal.code, detail=refusal.detail
    )


def list_attachments(*, actor: Actor, task_id: UUID, page: PageRequest) -> "Page[StoredFile]":
    """The files of a task that the actor sees.

    Raises:
        TaskNotFound
    """
    service.find_task(actor=actor, task_id=task_id)
    return files.list_files(actor=actor, page=page, task_id=task_id)


def get_attachment_to_read(*, actor: Actor, task_id: UUID, file_id: UUID) -> "StoredFile":
    """See ``files.service.get_file_to_read``.

    Raises:
        TaskNotFound, StoredFileNotFound, FileDamaged
    """
    service.find_task(actor=actor, task_id=task_id)
    return files.get_file_to_read(actor=actor, file_id=file_id, task_id=task_id)


def delete_attachment(*, actor: Actor, task_id: UUID, file_id: UUID, condition: Precondition) -> None:
    """See ``files.service.delete_file``.

    Raises:
        TaskNotFound, StoredFileNotFound, FileForbidden, PreconditionFailed
    """
    service.find_task(actor=actor, task_id=task_id)
    files.delete_file(actor=actor, file_id=file_id, condition=condition, task_id=task_id)
