"""What can be wrong with a file, its upload or its download."""

from taskapi.core.errors import (
    ContentTooLarge,
    DomainError,
    Forbidden,
    NotFound,
    UnsupportedMediaType,
    ValidationFailed,
)


class StoredFileNotFound(NotFound):
    """There is no such file, or it is somebody else's."""

    code = "file_not_found"
    title = "File not found"


class FileForbidden(Forbidden):
    """Only who uploaded a file, who made its task, or an administrator deletes it."""

    code = "file_forbidden"
    title = "Not allowed with this file"


class HashMismatch(ValidationFailed):
    """What arrived has another SHA-256 than the client said: nothing was kept, send it again."""

    code = "hash_mismatch"
    title = "Hash mismatch"


class FileTooLarge(ContentTooLarge):
    """The file is larger than ``MAX_FILE_SIZE``; nothing was kept."""

    code = "file_too_large"
    title = "File too large"


class FileTypeNotAllowed(UnsupportedMediaType):
    """The content is of a type that may not be uploaded here, or of another than its name says."""

    code = "file_type_not_allowed"
    title = "File type not allowed"


class QuotaExceeded(DomainError):
    """The file does not fit into what one may store; delete others first."""

    status = 507
    code = "quota_exceeded"
    title = "Quota exceeded"


class FileDamaged(DomainError):
    """What lies in the store is not what was uploaded, or it is gone: it is not served."""

    status = 410
    code = "file_damaged"
    title = "File damaged"


class RangeNotSatisfiable(DomainError):
    """The range that was asked for lies beyond the end of the file."""

    status = 416
    code = "range_not_satisfiable"
    title = "Range not satisfiable"
