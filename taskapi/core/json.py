"""JSON in and out: requests are read strictly, answers are written fast.

RFC 8259 leaves duplicate names, huge numbers and depth to the reader; RFC 7493 (I-JSON)
says how a careful one behaves, and this one follows it.
"""

import json
import math
import re
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from taskapi.core.errors import MalformedJson

MAX_DEPTH = 64
# Beyond 64 bits a number fits neither the databases' integers nor most clients.
MAX_INTEGER = 2**63 - 1
HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def load_strict(body: bytes) -> Any:
    """Parse a request body.

    Raises:
        MalformedJson: not UTF-8, not JSON, too deep, a duplicate name, a number beyond
            64 bits or not finite, or text with NUL or half a surrogate pair.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not UTF-8.") from error
    except RecursionError as error:
        raise MalformedJson(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    except ValueError as error:
        raise MalformedJson(f"The body is not JSON: {error}.") from error
    _check(value, depth=1)
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJson(f"The name {_first_repeated(pairs)!r:.100} stands twice in one object.")
    return result


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    """In one pass: whoever sends the body chooses how many names there are."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    return name


def _integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > MAX_INTEGER:
        raise MalformedJson("A number is larger than 64 bits.")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise MalformedJson("A number is too large.")
    return number


def _refuse_constant(text: str) -> None:
    raise MalformedJson(f"{text} is not JSON.")


def _check(value: Any, *, depth: int) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            raise MalformedJson(f"The body is nested deeper than {MAX_DEPTH} levels.")
        children = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for child in children:
            _check(child, depth=depth + 1)


def check_text(text: str) -> None:
    """Refuse text that PostgreSQL cannot store: it must not depend on the database."""
    if "\x00" in text:
        raise MalformedJson("Text must not contain the NUL character.")
    if HALF_OF_A_PAIR.search(text):
        raise MalformedJson("Text must not contain half of a surrogate pair.")


def storable_text(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL, and halves of surrogate pairs become '?'."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``; fractions of a second only where there are any."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, (date, UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def dump_json(value: Any) -> bytes:
    """The value as JSON in UTF-8; times are written by ``format_time``, ids as text."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)


class OrjsonProvider(JSONProvider):
    """Flask's JSON, written by orjson and read by ``load_strict``."""

    def dumps(self, obj: Any, **_options: Any) -> str:
        return dump_json(obj).decode()

    def loads(self, s: str | bytes, **_options: Any) -> Any:
        return load_strict(s if isinstance(s, bytes) else s.encode())

    def response(self, *args: Any, **kwargs: Any) -> Response:
        obj = self._prepare_response_obj(args, kwargs)
        return Response(dump_json(obj), mimetype="application/json")
