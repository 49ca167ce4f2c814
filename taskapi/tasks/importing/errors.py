"""What can be wrong with a file of tasks, or with its import."""

from taskapi.core.errors import Conflict, ContentTooLarge, DomainError, NotFound


class ImportNotFound(NotFound):
    """There is no such import, or it is somebody else's."""

    code = "import_not_found"
    title = "Import not found"


class ImportTooLarge(ContentTooLarge):
    """The file is larger than ``MAX_IMPORT_SIZE``; nothing was kept."""

    code = "import_too_large"
    title = "File too large"


class InvalidImport(DomainError):
    """The file is no table of tasks that can be read: CSV with a header that names a column of titles."""

    status = 422
    code = "invalid_import"
    title = "Not a table of tasks"


class ImportNotUndoable(Conflict):
    """Only an import that has ended and changed something can be undone, once, for seven days."""

    code = "import_not_undoable"
    title = "Import cannot be undone"
