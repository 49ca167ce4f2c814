"""Making many tasks with one request."""

from collections.abc import Sequence
from typing import Any

import marshmallow as ma

from taskapi.core.access import Actor
from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import flatten_messages
from taskapi.tasks.drafts import Drafts, Messages
from taskapi.tasks.schemas import NewTaskSchema
from taskapi.tasks.shown import ShownTask, as_new

MOST_NEW_TAGS = 1_000


def create_all(*, actor: Actor, tasks: Sequence[Any]) -> dict[str, list[ShownTask]]:
    """Make all of the tasks, or none.

    Args:
        tasks: as they were sent, nothing of them checked.

    Raises:
        ValidationFailed: with the index of each that is wrong, such as ``tasks.3.title``.
        ExternalIdTaken: somebody was quicker with one of them.
    """
    made, errors = _create(actor, tasks)
    if errors:
        raise ValidationFailed(
            {_path(index, name): errors[index][name] for index in sorted(errors) for name in errors[index]}
        )
    return {"items": made}


def create_what_is_right(*, actor: Actor, tasks: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
    """Make those of the tasks that are right, and say what became of each.

    Raises:
        ExternalIdTaken: somebody was quicker with one of them; none is made.
    """
    made, errors = _create(actor, tasks, partial=True)
    following = iter(made)
    return {
        "items": [
            {"index": index, "status": 422, "errors": errors[index]}
            if index in errors
            else {"index": index, "status": 201, "task": next(following)}
            for index in range(len(tasks))
        ]
    }


def _create(
    actor: Actor, sent: Sequence[Any], *, partial: bool = False
) -> tuple[list[ShownTask], dict[int, Messages]]:
    """What was made, and what speaks against the others; nothing is made if all must be right."""
    drafts, errors = _read(sent)
    indexes = list(drafts)
    batch = Drafts(actor, list(drafts.values()))
    if batch.count_new_tags() > MOST_NEW_TAGS:
        # Everybody sees them, and SQLite lets nobody else write meanwhile.
        raise ValidationFailed({"tasks": [f"Name {MOST_NEW_TAGS:,} new tags at most at a time."]})
    errors |= {indexes[place]: texts for place, texts in batch.errors.items()}
    if errors and not partial:
        return [], errors
    return [as_new(task, tags) for task, tags in batch.write()], errors


def _read(sent: Sequence[Any]) -> tuple[dict[int, dict[str, Any]], dict[int, Messages]]:
    """The tasks whose shape is right, by index, and what is wrong with the others."""
    schema, drafts, errors = NewTaskSchema(), {}, {}
    for index, task in enumerate(sent):
        try:
            drafts[index] = schema.load(task)
        except ma.ValidationError as error:
            messages = error.normalized_messages()  # type: ignore[no-untyped-call]
            errors[index] = flatten_messages(messages)
    return drafts, errors


def _path(index: int, name: str) -> str:
    """Where in the request a fault lies; what is no object at all has no fields."""
    return f"tasks.{index}" if name == "body" else f"tasks.{index}.{name}"
