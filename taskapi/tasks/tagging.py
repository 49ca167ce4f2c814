"""Tags of tasks: found by name or id, made when their name is new."""

from collections.abc import Collection, Iterable
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import insert_if_new, session
from taskapi.core.events import record_event
from taskapi.tasks.models import Tag, TaskTag
from taskapi.tasks.queries import is_id

# As the HTML standard writes colours; a tag that nobody has given one gets one of these by its name.
COLORS = (
    *("#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2"),
    *("#ca8a04", "#db2777", "#4b5563", "#65a30d"),
)


class TagBook:
    """Finds the tags that requests name; those of a batch in one query."""

    def __init__(self, actor: Actor, names: Iterable[str]) -> None:
        self._actor = actor
        wanted = {name.strip() for name in names}
        ids = {UUID(name) for name in wanted if is_id(name)}
        keys = {name.casefold() for name in wanted}
        found = _find(keys, ids) if wanted else []
        self._by_key = {tag.name_key: tag for tag in found}
        self._by_id = {tag.id: tag for tag in found}

    def unknown_ids(self, names: Iterable[str]) -> list[str]:
        """Those of the names that look like an id and are none: nobody names a tag so."""
        return [name for name in names if is_id(name) and self._find(name) is None]

    def tags(self, names: Iterable[str]) -> list[Tag]:
        """The tags of these names, each once, by name; a new name becomes a tag."""
        tags = {tag.id: tag for tag in (self._find(name) or self._make(name.strip()) for name in names)}
        return sorted(tags.values(), key=lambda tag: tag.name_key)

    def _find(self, name: str) -> Tag | None:
        tag = self._by_key.get(name.strip().casefold())
        return tag or (self._by_id.get(UUID(name)) if is_id(name) else None)

    def _make(self, name: str) -> Tag:
        tag = make_tag(self._actor, name=name, color=color_of(name)) or _find({name.casefold()}, set())[0]
        self._by_key[tag.name_key] = self._by_id[tag.id] = tag
        return tag


def make_tag(actor: Actor, *, name: str, color: str) -> Tag | None:
    """A new tag, or None when there is one of this name, however many make it at once."""
    now = clock.now()
    tag_id = insert_if_new(
        Tag,
        name=name,
        name_key=name.casefold(),
        color=color,
        creator_id=actor.user_id,
        version=1,
        created_at=now,
        updated_at=now,
    )
    if tag_id is None:
        return None
    state = {"name": name, "color": color}
    record_event("tag.created", subject=("tag", tag_id), actor=actor, owner_id=actor.user_id, after=state)
    return session().get_one(Tag, tag_id)


def color_of(name: str) -> str:
    """The same for the same name, whoever makes the tag."""
    return COLORS[sum(name.casefold().encode()) % len(COLORS)]


def add_tags(pairs: Collection[tuple[UUID, UUID]]) -> None:
    """Tasks, by id, get tags, by id; they have none of them yet."""
    if pairs:
        rows = [{"task_id": task_id, "tag_id": tag_id} for task_id, tag_id in pairs]
        session().execute(sa.insert(TaskTag), rows)


def replace_tags(task_id: UUID, tags: Collection[Tag]) -> None:
    """A task has these tags and no others."""
    had = sa.delete(TaskTag).where(TaskTag.task_id == task_id)
    session().execute(had.execution_options(synchronize_session=False))
    add_tags([(task_id, tag.id) for tag in tags])


def _find(keys: Collection[str], ids: Collection[UUID]) -> list[Tag]:
    wanted = sa.or_(Tag.name_key.in_(keys), Tag.id.in_(ids))
    return list(session().scalars(sa.select(Tag).where(wanted)))
