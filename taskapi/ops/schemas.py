"""Health on the wire."""

from marshmallow import fields

from taskapi.core.schemas import Schema


class HealthSchema(Schema):
    """The process is alive."""

    status = fields.Constant("ok", required=True)
    name = fields.String(required=True)
    version = fields.String(required=True)


class ReadinessSchema(Schema):
    """What is up and what is down."""

    status = fields.String(required=True, metadata={"description": "ok, degraded or unavailable"})
    checks = fields.Dict(keys=fields.String(), values=fields.Dict(), required=True)
