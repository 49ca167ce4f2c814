"""Finds the people that a table names: by e-mail, username or id, or as the form told."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from taskapi.accounts import service as accounts
from taskapi.tasks.importing.rows import Row
from taskapi.tasks.queries import is_id

# Todoist's own id of somebody: ``Kai (48151623)``.
NUMBER = re.compile(r" \(\d+\)$")


def find_people(rows: Sequence[Row], told: Mapping[str, str]) -> dict[str, UUID]:
    """The active users whom the rows name, by what they are called there.

    Args:
        told: what people are called in the file → e-mail or username.
    """
    wanted = {row.person: _name(told.get(row.person, row.person)) for row in rows if row.person}
    by_id = accounts.lock_active(user_ids=[UUID(name) for name in wanted.values() if is_id(name)])
    by_name = accounts.find_active(names=[name for name in wanted.values() if not is_id(name)])
    found = {word: UUID(name) for word, name in wanted.items() if is_id(name) and UUID(name) in by_id}
    return found | {word: by_name[name] for word, name in wanted.items() if name in by_name}


def _name(cell: str) -> str:
    """Of several people the first, as a task has one, without what others write around a name."""
    return NUMBER.sub("", cell.partition(",")[0]).strip().removeprefix("@")
