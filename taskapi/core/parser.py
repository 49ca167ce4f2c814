"""Reads bodies and queries: strictly, with every fault reported in one shape."""

from functools import lru_cache
from typing import Any

import marshmallow as ma
from flask import Request, g, request
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict

from taskapi.core.errors import ContentTooLarge, MalformedJson, UnsupportedMediaType, ValidationFailed
from taskapi.core.json import check_text, load_strict
from taskapi.core.paging import PageQuery, query_lists
from taskapi.core.schemas import flatten_messages, unknown_field_message

# Where a request keeps what its body says.
PARSED = "taskapi.json"
# So many queries are remembered, of so many bytes at most.
REMEMBERED, REMEMBERED_LENGTH = 1_000, 500
# Of one filter: more ids than gunicorn takes in a line. Other servers take any number.
MOST_VALUES = 200


def read_body(req: Request) -> bytes:
    """The whole body.

    Raises:
        ContentTooLarge
    """
    body = req.get_data()
    # Werkzeug cuts a body that announced no length at the limit, and says nothing.
    may_be_cut = req.content_length is None and len(body) == req.max_content_length
    if may_be_cut and req.environ["wsgi.input"].read(1):
        raise ContentTooLarge
    return body


def read_json(req: Request) -> Any:
    """The body as JSON, parsed once for all who ask.

    Raises:
        MalformedJson, ContentTooLarge
    """
    if PARSED not in req.environ:
        req.environ[PARSED] = load_strict(read_body(req))
    return req.environ[PARSED]


def refuse_body(req: Request) -> None:
    """Let nothing, or an empty object, pass where no body is asked for.

    Raises:
        ValidationFailed, MalformedJson, ContentTooLarge
    """
    body = read_body(req)
    content = load_strict(body) if body.strip() else {}
    if content != {}:
        names = content if isinstance(content, dict) else ["body"]
        raise ValidationFailed({name: [unknown_field_message(name, [])] for name in names})


class Parser(FlaskParser):
    """Reads the arguments of a request for a schema; what nobody asked for is refused."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": ma.RAISE, "query": ma.RAISE, "form": ma.RAISE}

    def query(self, schema: ma.Schema) -> Any:
        """What the schema reads from the query, which is remembered: the same is asked again and again.

        It depends on the caller's time zone besides; a cursor is read each time, as it depends on more.
        """
        text = request.query_string
        if not isinstance(schema, PageQuery) or len(text) > REMEMBERED_LENGTH or b"cursor" in text:
            return self.parse(schema, request, location="query")
        actor = g.get("actor")
        return dict(_remembered(self, schema, text, actor.timezone if actor else ""))

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        if getattr(schema, "may_be_left_out", False) and not read_body(req).strip():
            return {}
        if req.mimetype != "application/json" or req.mimetype_params.get("charset", "utf-8").lower() not in (
            "utf-8",
            "utf8",
        ):
            raise UnsupportedMediaType("Send the body as application/json.")
        if req.headers.get("Content-Encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the body without a content coding.")
        return read_json(req)

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        values = query_lists() if isinstance(schema, PageQuery) else dict(req.args.lists())
        for name, texts in values.items():
            _check_query_value(
                name, texts, repeatable_name=isinstance(schema.fields.get(name), ma.fields.List)
            )
        return MultiDictProxy(MultiDict(values), schema)

    def handle_error(self, error: ma.ValidationError, req: Request, schema: ma.Schema, **kwargs: Any) -> Any:
        by_location: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        flat: dict[str, list[str]] = {}
        for messages in by_location.values():
            flat |= flatten_messages(messages)
        raise ValidationFailed(flat) from error


@lru_cache(maxsize=REMEMBERED)
def _remembered(parser: Parser, schema: ma.Schema, _text: bytes, _timezone: str) -> dict[str, Any]:
    # Of the request that is being answered, which has this query and this caller.
    loaded: dict[str, Any] = parser.parse(schema, request, location="query")
    return loaded


def _check_query_value(name: str, texts: list[str], *, repeatable_name: bool) -> None:
    if len(texts) > 1 and not repeatable_name:
        raise ValidationFailed({name: ["Send it once."]})
    if len(texts) > MOST_VALUES:
        raise ValidationFailed({name: [f"Send it {MOST_VALUES} times at most."]})
    try:
        for text in (name, *texts):
            check_text(text)
    except MalformedJson as error:
        raise ValidationFailed({name: [error.detail]}) from error
