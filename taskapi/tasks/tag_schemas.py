"""Tags in requests."""

import marshmallow as ma

from taskapi.core.paging import PageQuery, sort_field
from taskapi.core.schemas import Text
from taskapi.tasks.queries import is_id
from taskapi.tasks.schemas import TagFieldsSchema


def _check_name(name: str) -> None:
    # Where tags are named, an id names the tag that has it.
    if is_id(name):
        raise ma.ValidationError("A tag cannot be called like an id.")


class TagChangesSchema(TagFieldsSchema):
    """The fields to change; what is not sent stays."""

    @ma.validates("name")
    def _is_no_id(self, name: str, **_kwargs: object) -> None:
        _check_name(name)


class NewTagSchema(TagChangesSchema):
    """A tag to make."""

    name = Text(minimum=1, maximum=50, required=True)


class TagQuery(PageQuery):
    """Filter and order of the list of tags."""

    q = Text(minimum=1, maximum=50, metadata={"description": "Part of the name, in any case"})
    sort = sort_field("name")
