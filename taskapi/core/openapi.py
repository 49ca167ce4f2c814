"""The OpenAPI document: what fields, answers and their headers look like to a client."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from taskapi.core.access import PUBLIC, Access
from taskapi.core.errors import DomainError, InvalidCursor, MalformedJson, UnsupportedMediaType, all_errors
from taskapi.core.links import PLACE
from taskapi.core.problems import ProblemSchema
from taskapi.core.schemas import Bound, Seconds, Text, Time

PROBLEM = {"content": {"application/problem+json": {"schema": ProblemSchema}}}
TEXT = {"type": "string"}
# Classes of characters, and which texts of them there are.
CONTROLS = r"\u0000-\u001f\u007f-\u009f"
CONTROLS_IN_LINES = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
BLANKS = r" \t\n\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
PRINTABLE = "^[^{0}]*$"
NOT_BLANK = "^[^{0}]*[^{0}{1}][^{0}]*$"
LOCATION = {"Location": {"description": "Where it is", "schema": {**TEXT, "format": "uri-reference"}}}
LINK = {"Link": {"description": 'The pages around it: rel="next", rel="prev"', "schema": TEXT}}
ETAG = {"ETag": {"description": "Send it back as If-None-Match", "schema": TEXT}}
CACHE = {"X-Cache": {"description": "Whether it was kept", "schema": {**TEXT, "enum": ["hit", "miss"]}}}
COUNT = {"type": "integer", "minimum": 0}
RATE_LIMIT = {
    "RateLimit-Limit": {"description": "Requests allowed in a window", "schema": COUNT},
    "RateLimit-Remaining": {"description": "Requests left in this window", "schema": COUNT},
    "RateLimit-Reset": {"description": "Seconds until the window ends", "schema": COUNT},
}
TOO_MANY_REQUESTS = {
    "description": "Too many requests. Every other answer has the headers RateLimit-… too",
    "headers": {
        "Retry-After": {"description": "Seconds to wait", "schema": {**COUNT, "minimum": 1}},
        **RATE_LIMIT,
    },
    **PROBLEM,
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "An ETag: the change is made only if the resource still has this version",
    "schema": TEXT,
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Makes it safe to repeat the request: within 24 hours the same key and body give the first"
    " answer again, with `Idempotent-Replayed: true`",
    "schema": {**TEXT, "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


class Converter(OpenAPIConverter):
    """Knows the house's own fields, and schemas of which one field must be chosen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.field_mapping |= {
            Time: ("string", "date-time"),
            Bound: ("string", None),
            fields.Url: ("string", "uri"),
        }
        self.add_attribute_function(_describe_duration)  # type: ignore[no-untyped-call]
        self.add_attribute_function(_describe_bound)  # type: ignore[no-untyped-call]
        self.add_attribute_function(_describe_text)  # type: ignore[no-untyped-call]

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        document: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        choices = getattr(schema, "exactly_one_of", ())
        if choices:
            document["oneOf"] = [_choice(name, schema.fields[name]) for name in choices]
        return document


def _choice(name: str, field: fields.Field[Any]) -> dict[str, Any]:
    """That this field is sent; where null is taken, it is as if it were not."""
    sent = {"properties": {name: {"not": {"type": "null"}}}} if field.allow_none else {}
    return {"required": [name], **sent}


class Plugin(MarshmallowPlugin):
    """Reads schemas with the converter above."""

    Converter = Converter


def _describe_duration(_self: Converter, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(field, Seconds):
        return {}
    limits = {name: ret.pop(f"x-{name}") for name in ("minimum", "maximum") if f"x-{name}" in ret}
    none = [{"type": "null"}] if field.allow_none else []
    return {"anyOf": [{"type": "number", **limits}, {**TEXT, "format": "duration"}, *none]}


def _describe_text(_self: Converter, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(field, Text) or "pattern" in ret:
        return {}
    controls = CONTROLS if field.single_line else CONTROLS_IN_LINES
    shape = NOT_BLANK if ret.get("minLength") else PRINTABLE
    return {"pattern": shape.format(controls, BLANKS)}


def _describe_bound(_self: Converter, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(field, Bound):
        return {}
    ret.pop("format", None)
    meaning = "A time, or a date: that whole day in one's own time zone, the day included"
    return {"anyOf": [{"format": "date-time"}, {"format": "date"}], "description": meaning}


def json_schema(schema: type[Schema]) -> dict[str, Any]:
    """A self-contained JSON Schema (2020-12) of ``schema``."""
    # No names: every nested schema is written in place.
    plugin = Plugin(schema_name_resolver=cast(Any, lambda _schema: None))
    APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    document: dict[str, Any] = plugin.converter.schema2jsonschema(schema())  # type: ignore[no-untyped-call]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document,
        "additionalProperties": False,
    }


def list_problem_codes(spec: APISpec) -> None:
    """Name every code in the schema of problems; call it once all rooms are loaded."""
    kinds = {kind.code: kind for kind in all_errors() if not kind.of_commands}
    code = spec.components.schemas["Problem"]["properties"]["code"]
    code["enum"] = sorted(kinds)
    lines = [f"- `{name}` ({kind.status}): {kind.title}" for name, kind in sorted(kinds.items())]
    code["description"] = "Stable, for programs; `/problems/{code}` explains each.\n\n" + "\n".join(lines)


def describe_operation(doc: Any, doc_info: Any, *, method: str, **_kwargs: Any) -> Any:
    """Complete what flask-smorest says of an operation: headers, 304, problems and who may call."""
    responses = doc.setdefault("responses", {})
    _describe_headers(responses, method, place=doc_info.get("place"))
    if doc_info.get("kept_for_a_while"):
        responses[200].setdefault("headers", {}).update(CACHE)
    responses["default"] = {"description": "Any other error", **PROBLEM}
    if 422 in responses or doc_info.get("idempotent"):
        responses[422] = {"description": "Validation failed", **PROBLEM}
    if not doc_info.get("for_probes"):
        responses[429] = TOO_MANY_REQUESTS
    if doc_info.get("conditional"):
        doc.setdefault("parameters", []).append(IF_MATCH)
        responses[412] = {"description": "It has another version by now", **PROBLEM}
    if doc_info.get("idempotent"):
        doc.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    access: Access | None = doc_info.get("access")
    if access is not None and access != PUBLIC:
        responses[401] = {"description": "No, bad, expired or revoked token", **PROBLEM}
        responses[403] = {"description": _describe_refusal(access), **PROBLEM}
        # OpenAPI 3.1, 4.8.30: what is not OAuth may name the roles that are asked for.
        doc["security"] = [{"bearer": ["session"] if access.session else access.scopes}]
    else:
        doc["security"] = []
    if doc_info.get("names_things"):
        responses[404] = {"description": "There is no such thing, or one may not see it", **PROBLEM}
    _describe_problems(responses, [*doc_info.get("problems", ()), *_problems_of_reading(doc, doc_info)])
    return doc


def _describe_refusal(access: Access) -> str:
    if access.session:
        return "`session_required`: a personal access token may not do this"
    names = " and ".join(f"'{scope}'" for scope in access.scopes)
    return f"`missing_scope`: the token was not given the scope {names}"


def _problems_of_reading(doc: Any, doc_info: Any) -> Iterator[type[DomainError]]:
    """What is said of a request that cannot be read at all."""
    schemas = [each.get("schema") for each in doc.get("parameters", ())]
    if any("cursor" in getattr(schema, "_declared_fields", ()) for schema in schemas):
        yield InvalidCursor
    takes_json = "requestBody" in doc
    if takes_json:
        yield MalformedJson
    if takes_json or doc_info.get("receives"):
        yield UnsupportedMediaType


def _describe_problems(responses: dict[Any, Any], kinds: Iterable[type[DomainError]]) -> None:
    for kind in kinds:
        said = responses.get(kind.status, {}).get("description")
        words = f"`{kind.code}`: {kind.title}"
        responses[kind.status] = {"description": f"{said}; {words}" if said else words, **PROBLEM}


def _describe_headers(responses: dict[Any, Any], method: str, *, place: str | None) -> None:
    for status in [status for status in responses if status in (200, 201, 202)]:
        schema = _schema_of(responses[status])
        tagged = getattr(schema, "tagged", False)
        headers = {
            **(LOCATION if status == 201 or (status == 202 and place) else {}),
            **(LINK if "next_cursor" in getattr(schema, "fields", {}) else {}),
            **(ETAG if tagged else {}),
        }
        if headers:
            responses[status]["headers"] = headers
        if place:
            responses[status][PLACE] = place
        if tagged and method == "get":
            responses[304] = {"description": "Not changed since the answer with this ETag", "headers": ETAG}


def _schema_of(response: Mapping[str, Any]) -> Any:
    return response.get("content", {}).get("application/json", {}).get("schema")
