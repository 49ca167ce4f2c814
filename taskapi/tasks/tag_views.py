"""Endpoints of tags."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.tasks import tags
from taskapi.tasks.errors import TagForbidden, TagTaken
from taskapi.tasks.models import Tag
from taskapi.tasks.schemas import TagSchema
from taskapi.tasks.tag_schemas import NewTagSchema, TagChangesSchema, TagQuery

blp = Blueprint("tags", __name__, url_prefix="/api/tags", description="Tags")


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(TagQuery, location="query")
@blp.response(200, page_schema(TagSchema))
def list_tags(query: dict[str, Any]) -> Page[Tag]:
    """The tags of the installation, by name"""
    return tags.list_tags(**query)


@blp.route("", methods=["POST"])
@blp.requires("write")
@blp.arguments(NewTagSchema)
@blp.problems(TagTaken)
@blp.response(201, TagSchema)
def create_tag(data: dict[str, Any]) -> Tag:
    """Make a tag; names that differ in case only are one"""
    with transaction():
        return tags.create_tag(actor=current_actor(), **data)


@blp.route("/<uuid:tag_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, TagSchema)
def get_tag(tag_id: UUID) -> Tag:
    """A tag"""
    return tags.get_tag(tag_id=tag_id)


@blp.route("/<uuid:tag_id>", methods=["PUT", "PATCH"])
@blp.requires("write")
@blp.conditional
@blp.arguments(TagChangesSchema)
@blp.problems(TagForbidden, TagTaken)
@blp.response(200, TagSchema)
def update_tag(data: dict[str, Any], tag_id: UUID, *, condition: Precondition) -> Tag:
    """Change a tag that one made"""
    with transaction():
        return tags.update_tag(actor=current_actor(), tag_id=tag_id, changes=data, condition=condition)


@blp.route("/<uuid:tag_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.problems(TagForbidden)
@blp.response(204)
def delete_tag(tag_id: UUID, *, condition: Precondition) -> None:
    """Delete a tag that one made; tasks lose it"""
    with transaction():
        tags.delete_tag(actor=current_actor(), tag_id=tag_id, condition=condition)
