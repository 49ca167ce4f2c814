"""The operations of the OpenAPI document, by method and path as the table of access names them."""

import re
from typing import Any

from tests.document import DOCUMENT

NOBODYS_ID = "01999999-0000-7000-8000-000000000000"


def _operations() -> dict[str, dict[str, Any]]:
    """Method and path, as in the table, with what the OpenAPI document says of them."""
    found = {}
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                rule = re.sub(r"{(\w+_id)}", r"<uuid:\1>", path).replace("{", "<").replace("}", ">")
                rule = rule.replace("<uuid:external_id>", "<path:external_id>")
                found[f"{method.upper()} {rule}"] = operation
    return found


OPERATIONS = _operations()
JSON = "application/json"
WITH_BODY = sorted(
    route
    for route, operation in OPERATIONS.items()
    if JSON in operation.get("requestBody", {}).get("content", {})
)
LISTS = sorted(
    route
    for route, operation in OPERATIONS.items()
    if {"page", "per_page"} <= {parameter["name"] for parameter in operation.get("parameters", ())}
)
