"""Links in the OpenAPI document: what can be done with a thing that was just made (OpenAPI 3.1, 4.8.20)."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from apispec import APISpec

# Under this name an answer keeps its own place, until all paths are known.
PLACE = "x-place"
# As in ``Blueprint.response``: an attribute of the thing.
ATTRIBUTE = "{0."
METHODS = ("get", "post", "put", "patch", "delete")


def link_what_is_made(spec: APISpec) -> None:
    """Let each answer that says where a new thing is name the operations on it."""
    paths: dict[str, dict[str, Any]] = spec._paths
    for path, item in paths.items():
        for operation in _operations(item).values():
            for response in operation["responses"].values():
                place = response.pop(PLACE, f"{path}/{{0.id}}").split("/")
                if "Location" in response.get("headers", {}) and _is_told(place, response, spec):
                    response["links"] = dict(_links(place, paths))


def _operations(item: Mapping[str, Any]) -> dict[str, Any]:
    return {method: item[method] for method in METHODS if method in item}


def _is_told(place: list[str], response: Mapping[str, Any], spec: APISpec) -> bool:
    """Whether the answer tells what the place is named by."""
    named_by = {_attribute_of(segment) for segment in place if segment.startswith(ATTRIBUTE)}
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    told = spec.components.schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
    return bool(named_by) and named_by <= told.get("properties", {}).keys()


def _attribute_of(segment: str) -> str:
    return segment.removeprefix(ATTRIBUTE).removesuffix("}")


def _links(place: list[str], paths: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The links to what lies at a place and right below it, by a name that says what they do."""
    for path, item in paths.items():
        parts = path.split("/")
        below = parts[len(place) :]
        parameters = _parameters(place, parts)
        if parameters is None or any("{" in part for part in below):
            continue
        for method in _operations(item):
            pointer = path.replace("~", "~0").replace("/", "~1")
            target = f"#/paths/{quote(pointer, safe='~')}/{method}"
            yield "-".join([method, *below]), {"operationRef": target, "parameters": parameters}


def _parameters(place: list[str], path: list[str]) -> dict[str, str] | None:
    """Where the parameters of a path come from if it begins with the place; None if it does not."""
    if len(path) < len(place):
        return None
    found = {}
    for given, part in zip(place, path, strict=False):
        if given.startswith(ATTRIBUTE) and part.startswith("{"):
            found[part.strip("{}")] = f"$response.body#/{_attribute_of(given)}"
        elif given != part:
            return None
        elif part.startswith("{"):
            found[part.strip("{}")] = f"$request.path.{part.strip('{}')}"
    return found
