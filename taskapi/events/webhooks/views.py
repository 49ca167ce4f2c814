"""Endpoints of webhooks."""

from typing import Any
from uuid import UUID

from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.preconditions import Precondition
from taskapi.core.preparing import prepares
from taskapi.events.webhooks import deliveries, service
from taskapi.events.webhooks.errors import TooManyWebhooks, WebhookInactive
from taskapi.events.webhooks.models import Webhook, WebhookDelivery
from taskapi.events.webhooks.schemas import (
    DeliveryDetailSchema,
    DeliveryQuery,
    DeliverySchema,
    NewWebhookSchema,
    RedeliveredSchema,
    RedeliverySchema,
    RotationSchema,
    WebhookChangesSchema,
    WebhookQuery,
    WebhookSchema,
    WebhookWithSecretSchema,
)
from taskapi.events.webhooks.targets import refusal_of

blp = Blueprint("webhooks", __name__, url_prefix="/api/webhooks", description="Webhooks")


@blp.route("", methods=["POST"])
@blp.requires("write", "read")
@prepares(refusal_of)
@blp.arguments(NewWebhookSchema)
@blp.problems(TooManyWebhooks)
@blp.response(201, WebhookWithSecretSchema)
def create_webhook(data: dict[str, Any], *, prepared: str | None) -> Webhook:
    """Have events sent to an address; the secret that signs them is shown this once"""
    with transaction():
        return service.create_webhook(actor=current_actor(), refusal=prepared, **data)


@blp.route("", methods=["GET"])
@blp.requires("read")
@blp.arguments(WebhookQuery, location="query")
@blp.response(200, page_schema(WebhookSchema))
def list_webhooks(query: dict[str, Any]) -> Page[Webhook]:
    """One's webhooks, newest first"""
    return service.list_webhooks(actor=current_actor(), **query)


@blp.route("/<uuid:webhook_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, WebhookSchema)
def get_webhook(webhook_id: UUID) -> Webhook:
    """One of one's webhooks"""
    return service.get_webhook(actor=current_actor(), webhook_id=webhook_id)


@blp.route("/<uuid:webhook_id>", methods=["PUT", "PATCH"])
@blp.requires("write", "read")
@blp.conditional
@prepares(refusal_of)
@blp.arguments(WebhookChangesSchema)
@blp.response(200, WebhookSchema)
def update_webhook(
    data: dict[str, Any], webhook_id: UUID, *, condition: Precondition, prepared: str | None
) -> Webhook:
    """Change a webhook; switched on again it goes on with what had waited"""
    with transaction():
        return service.update_webhook(
            actor=current_actor(), webhook_id=webhook_id, changes=data, condition=condition, refusal=prepared
        )


@blp.route("/<uuid:webhook_id>", methods=["DELETE"])
@blp.requires("write")
@blp.conditional
@blp.response(204)
def delete_webhook(webhook_id: UUID, *, condition: Precondition) -> None:
    """Delete a webhook and its log; what waits is not sent"""
    with transaction():
        service.delete_webhook(actor=current_actor(), webhook_id=webhook_id, condition=condition)


@blp.route("/<uuid:webhook_id>/rotate-secret", methods=["POST"])
@blp.requires("write")
@blp.conditional
@blp.arguments(RotationSchema)
@blp.response(200, WebhookWithSecretSchema)
def rotate_secret(data: dict[str, Any], webhook_id: UUID, *, condition: Precondition) -> Webhook:
    """Sign with another secret, which is shown this once, and for a while with both"""
    with transaction():
        return service.rotate_secret(
            actor=current_actor(), webhook_id=webhook_id, condition=condition, **data
        )


@blp.route("/<uuid:webhook_id>/test", methods=["POST"])
@blp.requires("write")
@blp.problems(WebhookInactive)
@blp.response(202, DeliveryDetailSchema, location="/api/webhooks/{0.webhook_id}/deliveries/{0.id}")
def send_test(webhook_id: UUID) -> WebhookDelivery:
    """Send a message of the type webhook.test; the answer shows what is sent"""
    with transaction():
        return deliveries.send_test(actor=current_actor(), webhook_id=webhook_id)


@blp.route("/<uuid:webhook_id>/redeliver", methods=["POST"])
@blp.requires("write")
@blp.arguments(RedeliverySchema)
@blp.problems(WebhookInactive)
@blp.response(202, RedeliveredSchema)
def redeliver_range(data: dict[str, Any], webhook_id: UUID) -> dict[str, int]:
    """Send once more what was to be sent in a time"""
    with transaction():
        return deliveries.redeliver_range(actor=current_actor(), webhook_id=webhook_id, **data)


@blp.route("/<uuid:webhook_id>/deliveries", methods=["GET"])
@blp.requires("read")
@blp.arguments(DeliveryQuery, location="query")
@blp.response(200, page_schema(DeliverySchema))
def list_deliveries(query: dict[str, Any], webhook_id: UUID) -> Page[WebhookDelivery]:
    """What a webhook was and is to be told, newest first, for 30 days"""
    return deliveries.list_deliveries(actor=current_actor(), webhook_id=webhook_id, **query)


@blp.route("/<uuid:webhook_id>/deliveries/<uuid:delivery_id>", methods=["GET"])
@blp.requires("read")
@blp.response(200, DeliveryDetailSchema)
def get_delivery(webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """A delivery: what is sent, and every attempt with its answer"""
    return deliveries.get_delivery(actor=current_actor(), webhook_id=webhook_id, delivery_id=delivery_id)


@blp.route("/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redeliver", methods=["POST"])
@blp.requires("write", "read")
@blp.conditional
@blp.problems(WebhookInactive)
@blp.response(202, DeliveryDetailSchema, location="/api/webhooks/{0.webhook_id}/deliveries/{0.id}")
def redeliver(webhook_id: UUID, delivery_id: UUID, *, condition: Precondition) -> WebhookDelivery:
    """Send a message once more, under the same id"""
    with transaction():
        return deliveries.redeliver(
            actor=current_actor(), webhook_id=webhook_id, delivery_id=delivery_id, condition=condition
        )
