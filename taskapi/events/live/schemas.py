"""What clients may send when they open a live connection."""

import marshmallow as ma

from taskapi.core.schemas import Text


class ResumeSchema(ma.Schema):
    """Where to go on."""

    last_event_id = Text(
        maximum=200,
        load_default="",
        metadata={"description": "The `id` of the last message that one had: what came since is told first"},
    )
