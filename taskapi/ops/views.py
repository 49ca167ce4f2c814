"""Health and figures."""

from flask import Response, jsonify

from taskapi.core.access import bearer_token
from taskapi.core.blueprint import Blueprint
from taskapi.ops import metrics, service
from taskapi.ops.doctor.probe import show_what_arrived
from taskapi.ops.schemas import HealthSchema, ReadinessSchema

blp = Blueprint("health", __name__, description="Health")
blp.after_request(show_what_arrived)


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
    response.status_code = 503 if state["status"] == "unavailable" else 200
    return response


@blp.route("/metrics", methods=["GET"])
@blp.public
@blp.for_probes
@blp.response(200, {"type": "string"}, content_type="text/plain")
def show_metrics() -> Response:
    """Figures for Prometheus; METRICS_TOKEN is the bearer token, if it is set"""
    from prometheus_client import CONTENT_TYPE_LATEST

    if metrics.needs_token():
        metrics.check_token(bearer_token("METRICS_TOKEN"))
    return Response(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
