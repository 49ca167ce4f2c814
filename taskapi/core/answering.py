"""What a view gave, as the answer of its endpoint: body, ``Location``, ``Link``, ``ETag`` and 304."""

import math
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import marshmallow as ma
from flask import Response, request
from orjson import Fragment
from werkzeug.http import quote_etag

from taskapi.core.json import dump_json
from taskapi.core.paging import Page
from taskapi.core.reading import Written


def answer(result: Any, schema: ma.Schema | None, *, status: int, location: str | None) -> Response:
    """The answer that tells ``result``, or that the client has it already.

    Args:
        location: see ``Blueprint.response``.
    """
    headers = _headers_for(result, status, location)
    if getattr(schema, "confidential", False):
        # RFC 6749, 5.1: what lets somebody in is kept by no cache, not even for a moment.
        headers["Cache-Control"] = "no-store"
    if request.method in ("GET", "HEAD") and _is_unchanged(headers.get("ETag")):
        return Response(status=304, headers=headers)
    return Response(_body(result, schema), status=status, headers=headers, mimetype="application/json")


def json_answer(schema: type[ma.Schema], result: Any, *, status: int = 200) -> Response:
    """An answer of another shape or status than the one that a view has declared first."""
    tag = _entity_tag(result)
    headers = {"ETag": quote_etag(tag)} if tag is not None else {}
    return Response(_body(result, schema()), status=status, headers=headers, mimetype="application/json")


def _body(result: Any, schema: ma.Schema | None) -> str | bytes:
    if isinstance(result, Written):
        return result.text
    if isinstance(result, Page) and result.items and isinstance(result.items[0], str):
        return _written_page(result)
    return dump_json(schema.dump(result) if schema is not None else result)


def _written_page(page: Page[str]) -> bytes:
    """A page whose items are JSON already, as ``page_schema`` declares it."""
    return dump_json(
        {
            "items": [Fragment(item) for item in page.items],
            "page": page.page,
            "per_page": page.per_page,
            "total": page.total,
            "next_cursor": page.next_cursor,
        }
    )


def _headers_for(result: Any, status_code: int, location: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(result, Page):
        links = _links(result)
        if links:
            headers["Link"] = links
    elif (tag := _entity_tag(result)) is not None:
        headers["ETag"] = quote_etag(tag)
    if location is not None:
        headers["Location"] = location.format(result)
    elif status_code == 201:
        identifier: UUID | None = getattr(result, "id", None)
        headers["Location"] = f"{request.path.rstrip('/')}/{identifier}"
    return headers


def _entity_tag(result: Any) -> str | None:
    """A resource may say its tag itself; else it is made of its version."""
    version: int | None = getattr(result, "version", None)
    own: str | None = getattr(result, "entity_tag", None)
    return own or (f"v{version}" if version is not None else None)


def _links(page: Page[Any]) -> str:
    links = []
    if page.page is not None:
        # From beyond the end, the page before is the last one, where that is known.
        before = page.page - 1
        if page.total is not None:
            before = min(before, max(1, math.ceil(page.total / page.per_page)))
        wanted = {"next": page.page + 1 if page.next_cursor else None, "prev": before}
        links = [_link(rel, {"page": str(number)}) for rel, number in wanted.items() if number]
    elif page.next_cursor:
        links = [_link("next", {"cursor": page.next_cursor})]
    return ", ".join(links)


def _link(rel: str, changes: dict[str, str]) -> str:
    query = urlencode({**dict(request.args.lists()), **changes}, doseq=True)
    return f'<{request.path}?{query}>; rel="{rel}"'


def _is_unchanged(etag: str | None) -> bool:
    return etag is not None and request.if_none_match.contains_weak(etag.strip('"'))
