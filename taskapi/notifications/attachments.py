"""What e-mails bring with them, which a higher room knows how to read."""

from collections.abc import Callable
from uuid import UUID

from taskapi.clients.mail import Attachment

# Many mail servers refuse a message of 25 MB, and on its way a file grows by a third.
MAX_ATTACHMENT_BYTES = 10_485_760

_read: Callable[[UUID], Attachment | None] = lambda _file_id: None  # noqa: E731 - replaced below


def set_attachment_reader(read: Callable[[UUID], Attachment | None]) -> None:
    """Say how a file is read; None for one that is gone.

    It is called outside of any transaction, and may raise ``MailError``.
    """
    global _read
    _read = read


def read_attachment(file_id: UUID) -> Attachment | None:
    return _read(file_id)
