"""Health endpoints."""

from flask import Response, jsonify

from taskapi.core.http import Blueprint
from taskapi.ops import service
from taskapi.ops.schemas import HealthSchema, ReadinessSchema

blp = Blueprint("health", __name__, description="Health")


@blp.route("/health", methods=["GET"])
@blp.public
@blp.for_probes
@blp.response(200, HealthSchema)
def health() -> dict[str, str]:
    """The process answers; nothing else is asked"""
    return service.health()


@blp.route("/api/health", methods=["GET"])
@blp.public
@blp.for_probes
@blp.response(200, HealthSchema)
def api_health() -> dict[str, str]:
    """The same as /health"""
    return service.health()


@blp.route("/api/health/ready", methods=["GET"])
@blp.public
@blp.for_probes
@blp.alt_response(503, schema=ReadinessSchema, description="Something is down")
@blp.response(200, ReadinessSchema)
def ready() -> Response:
    """Whether everything is up; 503 names what is down"""
    state = service.readiness()
    response = jsonify(state)
    response.status_code = 200 if state["status"] == "ok" else 503
    return response
