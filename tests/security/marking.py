"""Secrets that can be found again, and everything that an installation tells or keeps."""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, request_finished

from taskapi.background.connection import redis_client
from taskapi.core.db import Base, session


@contextmanager
def problems_of(app: Flask) -> Iterator[list[str]]:
    """The text of every problem that is answered inside the block."""
    told: list[str] = []

    def note(_app: Flask, response: Response, **_more: Any) -> None:
        if response.mimetype == "application/problem+json":
            told.append(f"{response.headers} {response.get_data(as_text=True)}")

    with request_finished.connected_to(note, app):
        yield told


def values_in_redis(app: Flask) -> dict[str, list[bytes]]:
    """Every key with all that is kept under it."""
    with app.app_context():
        redis: Any = redis_client()
        return {key.decode(): list(_kept(redis, key)) for key in redis.keys("*")}


def _kept(redis: Any, key: bytes) -> Iterator[bytes]:
    kind = redis.type(key)
    if kind == b"string":
        yield redis.get(key) or b""
    elif kind == b"hash":
        for name, value in redis.hgetall(key).items():
            yield from (name, value)
    elif kind == b"list":
        yield from redis.lrange(key, 0, -1)
    elif kind == b"set":
        yield from redis.smembers(key)
    elif kind == b"zset":
        yield from redis.zrange(key, 0, -1)
    elif kind == b"stream":
        for _place, fields in redis.xrange(key):
            for name, value in fields.items():
                yield from (name, value)
    else:
        raise AssertionError(f"{key!r} is a {kind!r}")


def unpacked(value: bytes) -> bytes:
    """The value as it is, and what is packed in it."""
    with suppress(zlib.error):
        return value + zlib.decompress(value)
    return value


def everything_in_redis(app: Flask) -> str:
    parts = [
        part
        for key, values in values_in_redis(app).items()
        for part in (key.encode(), *map(unpacked, values))
    ]
    return b"\n".join(parts).decode(errors="backslashreplace")


def everything_in(app: Flask, *tables: str) -> str:
    """All that these tables hold, or all tables if none is named."""
    with app.app_context():
        found = [
            list(map(str, row))
            for table in Base.metadata.sorted_tables
            if table.name in tables or not tables
            for row in session().execute(sa.select(table))
        ]
    return json.dumps(found, ensure_ascii=False)
