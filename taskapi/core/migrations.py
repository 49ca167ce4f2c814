"""Where the migrations are, and the newest of them."""

from pathlib import Path

import migrations

MIGRATIONS_DIR = Path(migrations.__file__).parent


def head_revision() -> str:
    """The newest migration, as the committed file ``migrations/head`` says."""
    return (MIGRATIONS_DIR / "head").read_text(encoding="ascii").strip()
