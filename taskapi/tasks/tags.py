"""Rules of tags: anybody makes one; who made it, or an administrator, changes it."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session
from taskapi.core.events import record_event
from taskapi.core.paging import Page, PageRequest, fetch_page
from taskapi.core.preconditions import Precondition
from taskapi.tasks.errors import TagForbidden, TagNotFound, TagTaken
from taskapi.tasks.models import Tag
from taskapi.tasks.tagging import color_of, make_tag

TAKEN = "There is a tag of this name."


def list_tags(*, page: PageRequest, q: str | None = None) -> Page[Tag]:
    """All tags, by name; ``q`` is a part of it, in any case."""
    statement = sa.select(Tag)
    if q:
        statement = statement.where(Tag.name_key.contains(q.casefold(), autoescape=True))
    sorts = {"name": Tag.name_key}
    return fetch_page(session(), statement, request_=page, sorts=sorts, default_sort="name", key=Tag.id)


def get_tag(*, tag_id: UUID) -> Tag:
    """
    Raises:
        TagNotFound
    """
    tag = session().get(Tag, tag_id)
    if tag is None:
        raise TagNotFound
    return tag


def create_tag(*, actor: Actor, name: str, color: str | None = None) -> Tag:
    """
    Raises:
        TagTaken
    """
    tag = make_tag(actor, name=name, color=color or color_of(name))
    if tag is None:
        raise TagTaken(TAKEN)
    return tag


def update_tag(*, actor: Actor, tag_id: UUID, changes: dict[str, Any], condition: Precondition) -> Tag:
    """Change the given fields; what they are already is no change.

    Raises:
        TagNotFound, TagForbidden, TagTaken, PreconditionFailed
    """
    tag = _lock(actor, tag_id, condition)
    new = {name: value for name, value in changes.items() if getattr(tag, name) != value}
    if not new:
        return tag
    before = {name: getattr(tag, name) for name in new}
    for name, value in new.items():
        setattr(tag, name, value)
    tag.version += 1
    tag.updated_at = clock.now()
    try:
        session().flush()
    except IntegrityError as error:
        raise TagTaken(TAKEN) from error
    _record("tag.updated", tag, actor, before=before, after=new)
    return tag


def delete_tag(*, actor: Actor, tag_id: UUID, condition: Precondition) -> None:
    """Delete a tag, and take it off all tasks.

    Raises:
        TagNotFound, TagForbidden, PreconditionFailed
    """
    tag = _lock(actor, tag_id, condition)
    session().delete(tag)
    session().flush()
    _record("tag.deleted", tag, actor, before={"name": tag.name, "color": tag.color})


def _lock(actor: Actor, tag_id: UUID, condition: Precondition) -> Tag:
    tag = session().get(Tag, tag_id, with_for_update=True, populate_existing=True)
    if tag is None:
        raise TagNotFound
    if tag.creator_id != actor.user_id and not actor.is_admin:
        raise TagForbidden("Only who made it, or an administrator, changes a tag.")
    condition.check(tag.version)
    return tag


def _record(
    event: str,
    tag: Tag,
    actor: Actor,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    subject = ("tag", tag.id)
    record_event(event, subject=subject, actor=actor, owner_id=tag.creator_id, before=before, after=after)
