"""JSON Schema of marshmallow schemas, as the OpenAPI document has it."""

from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema


def json_schema(schema: type[Schema]) -> dict[str, Any]:
    """A self-contained JSON Schema (2020-12) of ``schema``."""
    # No names: every nested schema is written in place.
    plugin = MarshmallowPlugin(schema_name_resolver=cast(Any, lambda _schema: None))
    APISpec(title="", version="", openapi_version="3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    document: dict[str, Any] = plugin.converter.schema2jsonschema(schema())  # type: ignore[no-untyped-call]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document,
        "additionalProperties": False,
    }
