"""Tags of tasks: found by name or id, made when their name is new."""

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter
from uuid import UUID

import sqlalchemy as sa

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.batches import batches
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.ids import new_id
from taskapi.core.upserts import insert_new
from taskapi.tasks.models import Tag, TaskTag
from taskapi.tasks.queries import is_id

# As the HTML standard writes colours; a tag that nobody has given one gets one of these by its name.
COLORS = (
    *("#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2"),
    *("#ca8a04", "#db2777", "#4b5563", "#65a30d"),
)


class TagBook:
    """Finds the tags that requests name; those of a batch in one query."""

    def __init__(self, actor: Actor | None, names: Iterable[str]) -> None:
        self._actor = actor
        wanted = {name.strip() for name in names}
        ids = {UUID(name) for name in wanted if is_id(name)}
        keys = {name.casefold() for name in wanted}
        self._by_key: dict[str, Tag] = {}
        self._by_id: dict[UUID, Tag] = {}
        self._note(_find(keys, ids))

    def unknown_ids(self, names: Iterable[str]) -> list[str]:
        """Those of the names that look like an id and are none: nobody names a tag so."""
        return [name for name in names if is_id(name) and self._find(name) is None]

    def new_names(self, names: Iterable[str]) -> set[str]:
        """Those of the names, folded, that would become tags."""
        return {name.strip().casefold() for name in names if self._find(name) is None and not is_id(name)}

    def tags(self, names: Iterable[str]) -> list[Tag]:
        """The tags of these names, each once, by name; a new name becomes a tag."""
        wanted = list(names)
        self.make_unknown(wanted)
        tags = {tag.id: tag for name in wanted if (tag := self._find(name))}
        return sorted(tags.values(), key=lambda tag: tag.name_key)

    def make_unknown(self, names: Iterable[str]) -> None:
        """Make tags of those of the names that none has, with few statements for all."""
        new: dict[str, str] = {}
        for name in names:
            if self._find(name) is None:
                new.setdefault(name.strip().casefold(), name.strip())
        if new:
            make_tags(self._actor, {name: color_of(name) for name in new.values()})
            self._note(_find(new, ()))

    def _find(self, name: str) -> Tag | None:
        tag = self._by_key.get(name.strip().casefold())
        return tag or (self._by_id.get(UUID(name)) if is_id(name) else None)

    def _note(self, tags: Iterable[Tag]) -> None:
        for tag in tags:
            self._by_key[tag.name_key] = self._by_id[tag.id] = tag


def make_tag(actor: Actor, *, name: str, color: str) -> Tag | None:
    """A new tag, or None when there is one of this name, however many make it at once."""
    made = make_tags(actor, {name: color})
    return made[0] if made else None


def make_tags(actor: Actor | None, colors: Mapping[str, str]) -> list[Tag]:
    """New tags of these names, each of its colour, but for those that there are already."""
    now = clock.now()
    maker = actor.user_id if actor else None
    shared = {"creator_id": maker, "version": 1, "created_at": now, "updated_at": now}
    rows = [
        {"id": new_id(), "name": name, "name_key": name.casefold(), "color": color, **shared}
        for name, color in colors.items()
    ]
    # In one order, or two who make the same tags could wait for each other.
    ids = insert_new(Tag, sorted(rows, key=itemgetter("name_key")))
    made = list(session().scalars(sa.select(Tag).where(Tag.id.in_(ids)))) if ids else []
    for tag in made:
        state = {"name": tag.name, "color": tag.color}
        record_event("tag.created", subject=("tag", tag.id), actor=actor, owner_id=maker, after=state)
    return made


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
    found: list[Tag] = []
    for column, values in ((Tag.name_key, sorted(keys)), (Tag.id, sorted(ids))):
        for some in batches(values):
            found += session().scalars(sa.select(Tag).where(column.in_(some)))
    return found
