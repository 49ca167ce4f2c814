"""Files as attachments of e-mails."""

from uuid import UUID

from sqlalchemy.orm import undefer

from taskapi.clients.mail import Attachment
from taskapi.clients.smtp import MailError
from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import StorageUnavailable
from taskapi.core.db import db, session
from taskapi.files import integrity
from taskapi.files.errors import FileDamaged
from taskapi.files.models import StoredFile
from taskapi.files.ranges import Part
from taskapi.files.reading import CheckedContent


def attachment(file_id: UUID) -> Attachment | None:
    """A whole file, which must be small; None if it is gone or damaged.

    Raises:
        MailError: a temporary one, while the store is out of reach.
    """
    file = session().get(StoredFile, file_id, options=[undefer(StoredFile.blocks)])
    # The store may take its time, and the connection is not needed for it.
    db.session.remove()
    if file is None or file.damage is not None:
        return None
    try:
        content = _read(file)
    except FileDamaged:
        return None
    except StorageUnavailable as error:
        raise MailError("The store of files is out of reach.", temporary=True) from error
    return Attachment(filename=file.filename, content_type=file.content_type, content=content)


def _read(file: StoredFile) -> bytes:
    blocks = CheckedContent(
        current_storage(),
        file,
        Part(0, file.size),
        report=lambda damage: integrity.report_damage(file_id=file.id, damage=damage),
    )
    try:
        return b"".join(blocks)
    finally:
        blocks.close()
