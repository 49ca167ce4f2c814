"""Rules of uploads: what may come, and how a content becomes a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.accounts import service as accounts
from taskapi.clients.storage import current_storage
from taskapi.config import Settings
from taskapi.core.access import Actor
from taskapi.core.db import on_commit, session
from taskapi.core.errors import OutcomeUnknown, ValidationFailed
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.core.incoming import Content
from taskapi.files import objects, usage
from taskapi.files.errors import HashMismatch
from taskapi.files.models import StoredFile
from taskapi.files.names import clean_name
from taskapi.files.types import AllowedTypes, checked_type

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Upload:
    """A content that lies in the store and is not yet a file."""

    filename: str
    content_type: str
    content: Content
    storage_key: str
    is_kept: bool = field(default=False, init=False)

    @property
    def fingerprint(self) -> bytes:
        return f"{self.content.sha256}/{self.filename}".encode()

    def keep(self) -> None:
        """The object is a file's by now."""
        self.is_kept = True


def checked_name(text: str, *, name_of_field: str) -> str:
    """What the file will be called.

    Raises:
        ValidationFailed: nothing is left of the name.
    """
    name = clean_name(text)
    if not name:
        raise ValidationFailed({name_of_field: ["This is no name of a file."]})
    return name


@contextmanager
def stored(
    *,
    content: Content,
    filename: str,
    sha256: str | None,
    owner_id: UUID,
    quota: int,
    allowed: AllowedTypes,
) -> Iterator[Upload]:
    """Put a content into the store; unless it became a file in the block, it is removed afterwards.

    Args:
        sha256: what the client says that it is.
        quota: refused early; ``create_file`` decides.

    Raises:
        HashMismatch, FileTypeNotAllowed, QuotaExceeded, StorageFull, StorageUnavailable
    """
    if sha256 is not None and sha256.lower() != content.sha256:
        raise HashMismatch({"sha256": [f"What arrived has the SHA-256 {content.sha256}."]})
    kind = checked_type(path=content.path, filename=filename, is_text=content.is_text, allowed=allowed)
    usage.check_room(owner_id=owner_id, size=content.size, quota=quota)
    with in_store(content=content, filename=filename, content_type=kind) as upload:
        yield upload


@contextmanager
def in_store(*, content: Content, filename: str, content_type: str) -> Iterator[Upload]:
    """Put a content into the store as it is; unless it is kept in the block, it is removed afterwards.

    Raises:
        StorageFull, StorageUnavailable
    """
    key = objects.announce_object()
    upload = Upload(filename=filename, content_type=content_type, content=content, storage_key=key)
    try:
        current_storage().put(key, content.path)
        yield upload
    finally:
        if not upload.is_kept:
            _give_up(key)


def _give_up(key: str) -> None:
    try:
        objects.give_up_object(key)
    except (SQLAlchemyError, OutcomeUnknown) as error:
        # It is announced, so it is removed some hours later.
        log.warning("file.object_left", key=key, error=str(error).splitlines()[0])


def create_file(
    *,
    actor: Actor,
    upload: Upload,
    settings: Settings,
    task_id: UUID | None = None,
    file_id: UUID | None = None,
) -> StoredFile:
    """Make a stored content a file of the actor's.

    Args:
        task_id: the task that it is attached to, which the actor sees.
        file_id: its id, for work that is done twice and must make one file.

    Raises:
        TokenRevoked: the account was closed meanwhile.
        QuotaExceeded: others came first.
        UploadExpired
    """
    content = upload.content
    # It may have taken minutes to arrive.
    accounts.check_still_active(user_id=actor.user_id)
    usage.add_file(owner_id=actor.user_id, size=content.size, quota=settings.file_quota)
    objects.keep_object(upload.storage_key)
    file = StoredFile(
        id=file_id or new_id(),
        owner_id=actor.user_id,
        filename=upload.filename,
        content_type=upload.content_type,
        size=content.size,
        sha256=content.sha256,
        blocks=content.blocks,
        storage_key=upload.storage_key,
        task_id=task_id,
    )
    session().add(file)
    session().flush()
    record_event(
        "file.created",
        subject=("file", file.id),
        actor=actor,
        owner_id=actor.user_id,
        topic_id=file.task_id,
        after={"filename": file.filename, "size": file.size, "sha256": file.sha256},
    )
    on_commit(upload.keep)
    return file
