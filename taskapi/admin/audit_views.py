"""Endpoints of the audit log, for administrators."""

from typing import Any

from flask import Response

from taskapi.admin import audit
from taskapi.admin.audit import AuditEntry
from taskapi.admin.audit_schemas import AuditEntrySchema, AuditFilters, AuditQuery
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.paging import Page, page_schema
from taskapi.core.streaming import made_in_context

blp = Blueprint("admin_audit", __name__, url_prefix="/api/admin", description="Administration: audit")
JSON_LINES = "application/x-ndjson"


@blp.route("/audit", methods=["GET"])
@blp.requires("admin")
@blp.arguments(AuditQuery, location="query")
@blp.response(200, page_schema(AuditEntrySchema))
def list_audit(query: dict[str, Any]) -> Page[AuditEntry]:
    """What happened and what was refused, the newest first; `total` is null beyond 10,000"""
    return audit.list_audit(**query)


@blp.route("/audit/export", methods=["GET"])
@blp.requires("admin")
@blp.arguments(AuditFilters, location="query")
@blp.response(
    200, {"type": "string", "format": "binary"}, content_type=JSON_LINES, description="The oldest first"
)
def export_audit(query: dict[str, Any]) -> Response:
    """The audit log as JSON lines with hashes, by which any program can verify it"""
    with transaction():
        lines = audit.export_audit(by=current_actor(), **query)
    named = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return Response(made_in_context(lines), mimetype=JSON_LINES, headers=named)
