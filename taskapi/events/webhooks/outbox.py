"""Writes down what webhooks are to be told, in the transaction that gives the events their order.

A message is rendered here, once for all who are told the same, and kept: every attempt to send it
sends these bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from taskapi.core.events import Event
from taskapi.core.following import (
    ADMINISTRATORS,
    EVERYBODY,
    TEAM,
    Readers,
    names_of,
    readers_of,
)
from taskapi.core.json import format_time
from taskapi.core.standing import actors_of
from taskapi.core.upserts import insert_new
from taskapi.events.messages import Message, Telling, tellings
from taskapi.events.webhooks import lease, queries
from taskapi.events.webhooks.models import WebhookDelivery
from taskapi.events.webhooks.patterns import is_wanted

CIRCLES = frozenset({EVERYBODY, ADMINISTRATORS, TEAM})


@dataclass(frozen=True, slots=True)
class _Listener:
    """A webhook, and those events that may be for it."""

    id: UUID
    attempt: int
    patterns: list[str]
    names: frozenset[UUID]
    events: list[Event]


def write_one(event: Event) -> None:
    """As ``write_deliveries``, for a single event, which may have been written already."""
    write_deliveries([event], readers_of([event]))


def write_deliveries(events: Sequence[Event], readers: Mapping[UUID, Readers]) -> None:
    """Put what the events say into the outbox of each webhook whose owner may know of them.

    A few queries for all events, and one alone where nobody has a webhook.
    """
    listeners = _listeners([event for event in events if event.id in readers], readers)
    if not listeners:
        return
    wanted = {event.id: event for listener in listeners for event in listener.events}
    # Who sees the things is asked anew: it may have changed since, and they are shown as they are by now.
    told_of = {telling.event.id: telling for telling in tellings(list(wanted.values()))}
    bodies: dict[tuple[UUID, str], str] = {}
    rows = [row for listener in listeners for row in _rows(listener, told_of, bodies)]
    insert_new(WebhookDelivery, rows)
    told = {row["webhook_id"] for row in rows}
    lease.send_later({listener.id: listener.attempt for listener in listeners if listener.id in told})


def _listeners(events: Sequence[Event], readers: Mapping[UUID, Readers]) -> list[_Listener]:
    all_names = {event.id: readers[event.id].now | readers[event.id].formerly for event in events}
    everyone = frozenset[UUID]().union(*all_names.values())
    # Who belongs to a circle is known for persons only, so then all are looked at.
    owners = None if everyone & CIRCLES else everyone
    webhooks = [
        (webhook, those)
        for webhook in (queries.active_webhooks(owners) if events else ())
        if (those := [event for event in events if _may_be_wanted(event, webhook.events)])
    ]
    actors = actors_of({webhook.owner_id for webhook, _ in webhooks}) if webhooks else {}
    return [
        _Listener(webhook.id, webhook.attempt, webhook.events, names, theirs)
        for webhook, those in webhooks
        if (actor := actors.get(webhook.owner_id)) is not None
        and (names := names_of(actor if webhook.as_admin else actor.as_anybody()))
        and (theirs := [event for event in those if all_names[event.id] & names])
    ]


def _may_be_wanted(event: Event, patterns: Sequence[str]) -> bool:
    """Whether the webhook wants it, under its own name or as what is not the reader's any more."""
    return is_wanted(event.type, patterns) or is_wanted(f"{event.subject_type}.removed", patterns)


def _rows(
    listener: _Listener, told_of: Mapping[UUID, Telling], bodies: dict[tuple[UUID, str], str]
) -> Iterator[dict[str, Any]]:
    for event in listener.events:
        message = told_of[event.id].to(listener.names)
        if message is None or not is_wanted(message.type, listener.patterns):
            continue
        told = (message.id, message.type)
        if told not in bodies:
            bodies[told] = body_of(message)
        yield {
            "webhook_id": listener.id,
            "message_id": message.id,
            "position": message.position,
            "type": message.type,
            "body": bodies[told],
        }


def body_of(message: Message) -> str:
    """The body that tells a message."""
    return body(message.id, message.type, message.at, message.data, deleted=message.deleted)


def body(
    message_id: UUID, event_type: str, at: datetime, data: dict[str, Any], *, deleted: bool = False
) -> str:
    """A body as Standard Webhooks recommends it, and two more members: ``id`` and ``deleted``."""
    content = {
        "id": str(message_id),
        "type": event_type,
        "timestamp": format_time(at),
        "deleted": deleted,
        "data": data,
    }
    return orjson.dumps(content).decode()
