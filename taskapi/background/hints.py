"""The shared hints in Redis: each question is one script, so one round trip."""

import os
import threading
from collections.abc import Collection

from redis import Redis

from taskapi.background.cache import PREFIX, milliseconds
from taskapi.background.connection import ask_redis
from taskapi.background.limits import COUNT, counted, key_of
from taskapi.background.scripts import Lines, Script
from taskapi.core.hints import VERSION_LENGTH, VERSIONS_LIVE_SECONDS, Counter, Hints, Question

VERSIONS = "taskapi:version:"
LIVE = VERSIONS_LIVE_SECONDS * 1000

# KEYS: the count, the standing, so many versions, the page. A version that is not there is made, and
# never one that was there before. ARGV: how many versions, seconds of the count, a new version, its life.
ASK = Script(
    COUNT
    + """
local versions = tonumber(ARGV[1])
local found = redis.call('MGET', unpack(KEYS, 2))
for number = 2, versions + 1 do
    if not found[number] then
        redis.call('SET', KEYS[number + 1], ARGV[3], 'PX', ARGV[4])
        found[number] = ARGV[3]
    end
end
local version, standing = found[2] .. found[3], found[1]
local used, left = 0, 0
if ARGV[2] ~= '0' and standing and string.sub(standing, 1, #version) == version then
    used, left = count(KEYS[1], ARGV[2])
end
return {used, left, unpack(found, 1, #KEYS - 1)}
"""
)
# KEYS: what is kept, perhaps a count. ARGV: the value, its life, seconds of the count.
KEEP = Script(
    COUNT
    + """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if KEYS[2] then
    return {count(KEYS[2], ARGV[3])}
end
return {0, 0}
"""
)
# KEYS: versions. ARGV: a new version, its life.
RENEW = Script("""
for _, key in ipairs(KEYS) do
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
end
""")


class RedisHints:
    """Versions, standings and kept pages; nothing is known while Redis is away."""

    def __init__(self) -> None:
        self._lines: Lines | None = None
        self._making = threading.Lock()

    def ask(self, question: Question) -> Hints | None:
        return ask_redis(lambda redis: _ask(self._lines_to(redis), question))

    def _lines_to(self, redis: Redis) -> Lines:
        with self._making:
            if self._lines is None or self._lines.redis is not redis:
                self._lines = Lines(redis)
            return self._lines

    def keep(
        self, key: str, value: bytes, *, seconds: float, counter: Counter | None = None
    ) -> tuple[int, float] | None:
        keys = [PREFIX + key, *([key_of(counter.key)] if counter else [])]
        arguments = (value, milliseconds(seconds), counter.seconds if counter else 0)
        found = ask_redis(lambda redis: KEEP.run(self._lines_to(redis), keys, *arguments))
        return counted(found) if found and counter else None

    def renew(self, names: Collection[str]) -> bool:
        keys = [VERSIONS + name for name in names]
        return ask_redis(lambda redis: _renew(self._lines_to(redis), keys)) is True


def _renew(lines: Lines, keys: list[str]) -> bool:
    RENEW.run(lines, keys, _new_version(), LIVE)
    return True


def _ask(lines: Lines, question: Question) -> Hints:
    counter, number = question.counter, len(question.versions)
    keys = [key_of(counter.key if counter else ""), PREFIX + question.standing]
    keys += [VERSIONS + name for name in question.versions]
    if question.page is not None:
        keys.append(PREFIX + question.page)
    found = ASK.run(lines, keys, number, counter.seconds if counter else 0, _new_version(), LIVE)
    return Hints(
        versions=tuple(version.decode() for version in found[3 : 3 + number]),
        standing=found[2],
        page=found[3 + number] if question.page is not None else None,
        counted=counted(found) if found[0] else None,
    )


def _new_version() -> str:
    return os.urandom(VERSION_LENGTH // 2).hex()
