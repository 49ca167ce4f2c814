"""Where the migrations are, and the newest of them."""

from pathlib import Path

import migrations

MIGRATIONS_DIR = Path(migrations.__file__).parent
# Whoever waits for a lock is waited for by all who come after: so long a request may take.
LOCK_TIMEOUT_MS = 2_000
# How often a migration tries, and for how long it lets the others go first: for two minutes or three.
ATTEMPTS, PAUSE_SECONDS = 30, (2.0, 4.0)


def head_revision() -> str:
    """The newest migration, as the committed file ``migrations/head`` says."""
    return (MIGRATIONS_DIR / "head").read_text(encoding="ascii").strip()


# The indexes of words, which no model can say: each database has its own kind.
WORD_INDEXES = ("task_words_index", "ix_task_words_vector")


def is_modelled(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether Alembic is to compare what has this name with the models (its ``include_name``)."""
    return name is None or not name.startswith(WORD_INDEXES)
