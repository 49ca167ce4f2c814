"""Scripts that Redis runs (Lua): several commands in one round trip, with nothing between them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hiredis import pack_command
from redis import Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ResponseError


class Line:
    """A connection for scripts alone, without what a pool takes for each call; for one thread.

    It is taken out of the client's pool when it is first needed, and closed with it.
    What fails as the connection was lost is said once more, so it must bear being said twice.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._connection: Any = None

    def evalsha(self, *arguments: str | bytes | float) -> Any:
        """As ``Redis.evalsha``."""
        return self._ask("EVALSHA", *arguments)

    def eval(self, *arguments: str | bytes | float) -> Any:
        """As ``Redis.eval``."""
        return self._ask("EVAL", *arguments)

    def _ask(self, *words: str | bytes | float) -> Any:
        try:
            return self._say(*words)
        except Disconnected:
            return self._say(*words)

    def _say(self, *words: str | bytes | float) -> Any:
        if self._connection is None:
            self._connection = self._pool.get_connection()
        try:
            # The client would look at each word first, whether hiredis can pack it: these it can.
            self._connection.send_packed_command([pack_command(words)])  # type: ignore[arg-type]
            return self._connection.read_response()
        except ResponseError:
            raise
        except BaseException:
            # Else the answer that was not read would be taken for that to the next question.
            self._connection.disconnect()
            raise


class Lines:
    """Lines for many threads: each takes one that rests, or opens another."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._process = os.getpid()
        self._resting: list[Line] = []

    def evalsha(self, *arguments: str | bytes | float) -> Any:
        """As ``Redis.evalsha``."""
        with self._line() as line:
            return line.evalsha(*arguments)

    def eval(self, *arguments: str | bytes | float) -> Any:
        """As ``Redis.eval``."""
        with self._line() as line:
            return line.eval(*arguments)

    @contextmanager
    def _line(self) -> Iterator[Line]:
        if self._process != os.getpid():
            # A connection that two processes use mixes up their answers.
            self._process, self._resting = os.getpid(), []
        try:
            line = self._resting.pop()
        except IndexError:
            line = Line(self.redis)
        try:
            yield line
        finally:
            self._resting.append(line)


class Script:
    """A script that Redis knows by its hash once it has seen it."""

    def __init__(self, text: str) -> None:
        self._text = text
        # By which Redis names scripts; it protects nothing.
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: Redis | Line | Lines, keys: list[str], *arguments: str | bytes | float) -> Any:
        """What the script answers; after a restart or a flush of Redis it is sent anew."""
        try:
            return client.evalsha(self._hash, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.eval(self._text, len(keys), *keys, *arguments)
