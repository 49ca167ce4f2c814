"""Deliveries as figures."""

from taskapi.core.meters import Counter

DELIVERIES = Counter(
    "taskapi_webhook_deliveries_total",
    "Attempts to deliver to a webhook",
    ("outcome",),
    known=("succeeded", "postponed", "failed"),
)
