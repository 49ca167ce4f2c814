"""What can be wrong with webhooks and deliveries."""

from taskapi.core.errors import Conflict, NotFound


class WebhookNotFound(NotFound):
    """There is no such webhook, or it is somebody else's."""

    code = "webhook_not_found"
    title = "Webhook not found"


class DeliveryNotFound(NotFound):
    """This webhook has no such delivery, or has forgotten it: they are kept for 30 days."""

    code = "delivery_not_found"
    title = "Delivery not found"


class WebhookInactive(Conflict):
    """The webhook is switched off: send ``is_active`` true first."""

    code = "webhook_inactive"
    title = "Webhook inactive"


class TooManyWebhooks(Conflict):
    """One has as many webhooks as one may have: delete one, or give another more patterns."""

    code = "too_many_webhooks"
    title = "Too many webhooks"
