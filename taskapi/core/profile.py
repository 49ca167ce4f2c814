"""What rooms add to one's profile, which the room of accounts shows without knowing them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskapi.core.schemas import Schema


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the profile: its shape on the wire, and what reads it."""

    schema: type[Schema]
    read: Callable[[UUID], dict[str, Any]]


_sections: dict[str, Section] = {}


def add_profile_section(name: str, schema: type[Schema], read: Callable[[UUID], dict[str, Any]]) -> None:
    """Show what ``read(user_id)`` gives, in the shape of ``schema``, under a name that the profile has.

    Call it before the endpoints are registered: the OpenAPI document shows the shape.
    """
    _sections[name] = Section(schema, read)


def section_schema(name: str) -> Schema:
    """The shape of a section, for the schema of the profile."""
    return _sections[name].schema()


class Profile:
    """An account together with what the rooms add to it."""

    def __init__(self, account: Any) -> None:
        self._account = account
        self._added = {name: section.read(account.id) for name, section in _sections.items()}

    def __getattr__(self, name: str) -> Any:
        return self._added[name] if name in self._added else getattr(self._account, name)

    @property
    def entity_tag(self) -> str:
        """The account's version, which edits are compared with; what is added has none, so a digest."""
        added = json.dumps(self._added, sort_keys=True, default=str)
        return f"v{self._account.version}.{hashlib.sha256(added.encode()).hexdigest()[:16]}"
