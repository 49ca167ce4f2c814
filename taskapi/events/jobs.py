"""Jobs of the events room, called by workers."""

from uuid import UUID

from taskapi.events.webhooks import lease, retention, sending


def send_webhook(webhook_id: str) -> None:
    """Send a slice of what waits for a webhook."""
    sending.work_on(webhook_id=UUID(webhook_id))


def sweep_webhooks() -> None:
    """Go on with webhooks whose pause is over, whose worker died or whose job was lost."""
    lease.sweep()


def forget_deliveries() -> None:
    """Remove deliveries to webhooks that are too old."""
    retention.forget_old_deliveries()
