"""What changed between two OpenAPI documents so that a client of the older one would no longer do.

Only what this API's document says is understood. An answer may always tell more than before, and a request
may always leave out what nobody had to send.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from taskapi.core.openapi import BLANKS, CONTROLS, CONTROLS_IN_LINES, NOT_BLANK, PRINTABLE
from taskapi.core.schemas import WITHOUT_NUL
from taskapi.schedules.run_schemas import RUN_REASONS

Json = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
# Words for people, and links, which only repeat what paths there are.
WORDS = ("description", "summary", "example", "title", "links")
# By these a value is refused: a request may not meet stricter ones.
LOWER, UPPER = ("minimum", "minLength", "minItems"), ("maximum", "maxLength", "maxItems")
# What no text ever could be, a release may not have told yet: (what was said, what is said now).
TOLD_LATE = {
    (None, WITHOUT_NUL["pattern"]),
    *((PRINTABLE.format(those), NOT_BLANK.format(those, BLANKS)) for those in (CONTROLS, CONTROLS_IN_LINES)),
}
# Words of which there never were others, a release may not have told yet.
LISTED_LATE = [set(RUN_REASONS)]
ALTERNATIVES = ("anyOf", "oneOf")
# What a program may take for the other: (what was said, what is said now).
WIDER = {"request": ("integer", "number"), "answer": ("number", "integer")}


def essence(document: Json) -> Any:
    """The document without what no program depends on."""
    return _without_words(document, named=False)


def _without_words(value: Any, *, named: bool) -> Any:
    if isinstance(value, list):
        return [_without_words(item, named=False) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_words(item, named=name in ("properties", "schemas") and not named)
        for name, item in value.items()
        # A field may be called as the words are.
        if named or name not in WORDS
    }


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Each change that breaks a client, in words."""
    return list(dict.fromkeys(_Comparison(old, new).of_paths()))


@dataclass
class _Comparison:
    old: Json
    new: Json
    # By the names of both schemas. One that contains itself is looked at once.
    known: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def of_paths(self) -> Iterator[str]:
        there = {_nameless(path): (path, item) for path, item in self.new["paths"].items()}
        for path, item in self.old["paths"].items():
            new_path, new_item = there.get(_nameless(path), (path, {}))
            if new_item:
                yield from self.of_parameters(item, _with_names_of(path, new_path, new_item), path)
            for method in METHODS:
                if method not in item:
                    continue
                where, now = f"{method.upper()} {path}", new_item.get(method)
                if now is None:
                    yield f"{where}: removed"
                else:
                    yield from self.of_operation(item[method], now, where)

    def of_operation(self, old: Json, new: Json, where: str) -> Iterator[str]:
        if old.get("security") != new.get("security"):
            yield f"{where}: needs another permission"
        yield from self.of_parameters(old, new, where)
        yield from self.of_body(old.get("requestBody", {}), new.get("requestBody", {}), where)
        for status, answer in old["responses"].items():
            here = f"{where}: {status}"
            if status not in new["responses"]:
                yield f"{here}: removed"
                continue
            now = new["responses"][status]
            for name in answer.get("headers", {}).keys() - now.get("headers", {}).keys():
                yield f"{here}: header {name}: removed"
            yield from self.of_contents(answer.get("content", {}), now.get("content", {}), here, "answer")

    def of_parameters(self, old: Json, new: Json, where: str) -> Iterator[str]:
        before, now = (_parameters(operation) for operation in (old, new))
        for key in before.keys() - now.keys():
            yield f"{where}: {' '.join(key)}: removed"
        for key, parameter in now.items():
            here = f"{where}: {' '.join(key)}"
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{here}: required"
            if key in before:
                yield from self.of_schemas(before[key]["schema"], parameter["schema"], here, "request")

    def of_body(self, old: Json, new: Json, where: str) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where}: body: required"
        yield from self.of_contents(
            old.get("content", {}), new.get("content", {}), f"{where}: body", "request"
        )

    def of_contents(
        self, old: Json, new: Json, where: str, side: Literal["request", "answer"]
    ) -> Iterator[str]:
        for kind, content in old.items():
            if kind not in new:
                yield f"{where}: {kind}: removed"
            else:
                before, now = content.get("schema", {}), new[kind].get("schema", {})
                yield from self.of_schemas(before, now, where, side)

    def of_schemas(
        self, old: Json, new: Json, where: str, side: Literal["request", "answer"]
    ) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""), side)
        if not all(pair):
            yield from self.of_kinds(old, new, where, side)
            return
        if pair not in self.known:
            self.known[pair] = []
            self.known[pair] = list(self.of_kinds(old, new, "", side))
        yield from (f"{where}{words}" for words in self.known[pair])

    def of_kinds(self, old: Json, new: Json, where: str, side: Literal["request", "answer"]) -> Iterator[str]:
        before, now = _kinds(self.old, old), _kinds(self.new, new)
        # Each that a client may send must still be taken; each that may come must be one it knows.
        ours, theirs = (before, now) if side == "request" else (now, before)
        for one in ours:
            found = [
                list(self.of_kind(*((one, other) if side == "request" else (other, one)), where, side))
                for other in theirs
            ]
            yield from min(found, key=len, default=[f"{where}: has another type"])

    def of_kind(self, old: Json, new: Json, where: str, side: Literal["request", "answer"]) -> Iterator[str]:
        types = (old.get("type"), new.get("type"))
        if types[0] != types[1] and types != WIDER[side] and not (side == "request" and types[1] is None):
            yield f"{where}: has another type"
            return
        if side == "request":
            yield from _stricter(old, new, where)
        elif old.get("format") != new.get("format") and "format" in old:
            yield f"{where}: has another format"
        yield from self.of_fields(old, new, where, side)
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
                yield from self.of_schemas(old[name], new[name], f"{where}[]", side)

    def of_fields(
        self, old: Json, new: Json, where: str, side: Literal["request", "answer"]
    ) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        needed, required = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name not in now:
                # What an object takes besides its fields, it takes under this name, too.
                if side == "answer" or new.get("additionalProperties") is False:
                    yield f"{where}.{name}: removed"
            else:
                yield from self.of_schemas(before[name], now[name], f"{where}.{name}", side)
        words = ("required", required - needed) if side == "request" else ("optional", needed - required)
        for name in sorted(words[1] & (now.keys() if side == "answer" else words[1])):
            yield f"{where}.{name}: {words[0]}"


def _stricter(old: Json, new: Json, where: str) -> Iterator[str]:
    words = set(new.get("enum", ()))
    told = set(old.get("enum", words if words in LISTED_LATE else [object()]))
    if words and not told <= words:
        yield f"{where}: takes fewer values"
    for name in ("pattern", "format"):
        said = (old.get(name), new.get(name))
        if name in new and said[0] != said[1] and said not in TOLD_LATE:
            yield f"{where}: has another {name}"
    for names, sign in ((LOWER, 1), (UPPER, -1)):
        for name in names:
            if name in new and (name not in old or sign * new[name] > sign * old[name]):
                yield f"{where}: has a stricter {name}"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{where}: takes no more fields than it names"
    # Who leaves it out is answered otherwise.
    if new.get("default") != old.get("default"):
        yield f"{where}: has another default"
    choices = [set(each.get("required", ())) for each in new.get("oneOf", ())]
    if choices and not all(set(each.get("required", ())) in choices for each in old.get("oneOf", [{}])):
        yield f"{where}: takes fewer choices of fields"


def _nameless(path: str) -> str:
    """The path whatever its parameters are called."""
    return re.sub(r"{\w+}", "{}", path)


def _names(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def _with_names_of(path: str, new_path: str, item: Json) -> Json:
    """The parts of the new path, called as they were in the older one."""
    names = dict(zip(_names(new_path), _names(path), strict=True))
    return {"parameters": [{**each, "name": names[each["name"]]} for each in item.get("parameters", ())]}


def _parameters(of: Json) -> dict[tuple[str, str], Json]:
    """Of an operation or a path."""
    return {(each["in"], each["name"]): each for each in of.get("parameters", ())}


def _kinds(document: Json, schema: Json) -> list[Json]:
    """What a value may be: a schema for each type, and each alternative."""
    if "$ref" in schema:
        return _kinds(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for name in ALTERNATIVES:
        # Fields of which one must be chosen are no alternatives.
        if name in schema and not all("required" in each and "type" not in each for each in schema[name]):
            common = {key: value for key, value in schema.items() if key != name}
            return [kind for each in schema[name] for kind in _kinds(document, {**common, **each})]
    types = schema.get("type")
    if isinstance(types, list):
        return [_of_type({**schema, "type": kind}) for kind in types]
    return [schema]


def _of_type(schema: Json) -> Json:
    """One of several types: what is null has neither format nor fields."""
    return {"type": "null"} if schema["type"] == "null" else schema
