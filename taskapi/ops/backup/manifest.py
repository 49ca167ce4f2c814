"""What an archive says of itself: first what it is, and at its end how much must have been in it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

from taskapi.core import clock
from taskapi.core.json import format_time
from taskapi.core.signing import derived_secrets
from taskapi.ops.backup.errors import ArchiveDamaged, BackupError
from taskapi.version import VERSION

FORMAT = 1
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What comes first.

    Attributes:
        revision: of the tables.
        database: ``sqlite`` or ``postgresql``.
        key: tells whether another SECRET_KEY is the same, and nothing more.
    """

    version: str
    revision: str
    database: str
    created_at: str
    key: str
    format: int = FORMAT


@dataclass(slots=True, kw_only=True)
class Manifest:
    """What comes last.

    Attributes:
        tables: how many rows each has.
        missing: keys of objects that a row names and the store had no more.
        damaged: keys of objects that were not what their row says.
    """

    tables: Mapping[str, int]
    objects: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def make_header(*, revision: str, database: str) -> Header:
    key = next(derived_secrets("backup", NOBODY))
    at: datetime = clock.now()
    return Header(version=VERSION, revision=revision, database=database, created_at=format_time(at), key=key)


def is_same_key(header: Header) -> bool:
    """Whether what was sealed there can be read here."""
    return header.key in derived_secrets("backup", NOBODY)


def to_json(part: Header | Manifest) -> bytes:
    return json.dumps(asdict(part), indent=1).encode() + b"\n"


def read_header(content: bytes) -> Header:
    """
    Raises:
        ArchiveDamaged
        BackupError: a newer version has written it.
    """
    try:
        values = json.loads(content)
        if values.pop("format") > FORMAT:
            raise BackupError(f"the archive was made by taskapi {values['version']!r}: restore it with that")
        if not all(map(_is_word, values.values())):
            raise ValueError("all but the format are words")
        return Header(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveDamaged("this is no backup of taskapi") from error


def read_manifest(content: bytes) -> Manifest:
    """
    Raises:
        ArchiveDamaged
    """
    try:
        manifest = Manifest(**json.loads(content))
        counts = [manifest.objects, manifest.bytes, *manifest.tables.values()]
        keys = [*manifest.missing, *manifest.damaged]
        if not all(isinstance(count, int) for count in counts) or not all(map(_is_word, keys)):
            raise ValueError("it has counts and keys")
        return manifest
    except (ValueError, TypeError, AttributeError) as error:
        raise ArchiveDamaged("the manifest cannot be read") from error


def _is_word(value: object) -> bool:
    """Whether it may be shown on a terminal."""
    return isinstance(value, str) and value.isprintable()
