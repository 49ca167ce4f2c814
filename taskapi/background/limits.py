"""Rate limits' counts in Redis, which all processes share."""

from collections.abc import Sequence

from taskapi.background.connection import ask_redis
from taskapi.background.scripts import Script

PREFIX = "taskapi:limit:"
# The count and the milliseconds that are left; seconds would be rounded, also down, and who waits
# as told would come too early. A count without an end, as a copy of Redis may bring it, gets one.
COUNT = """
local function count(key, seconds)
    local used, left = redis.call('INCR', key), redis.call('PTTL', key)
    if left < 0 then
        left = seconds * 1000
        redis.call('PEXPIRE', key, left)
    end
    return used, left
end
"""
COUNT_ONE = Script(COUNT + "return {count(KEYS[1], ARGV[1])}")


def count_in_redis(key: str, seconds: int) -> tuple[int, float] | None:
    """Count one more under a key that Redis forgets after so many seconds.

    Returns:
        the count and the seconds that are left, or None while Redis is away.
    """
    found = ask_redis(lambda client: COUNT_ONE.run(client, [key_of(key)], seconds))
    return counted(found) if found else None


def key_of(key: str) -> str:
    """The key of a count in Redis."""
    return PREFIX + key


def counted(found: Sequence[int]) -> tuple[int, float]:
    """The count and the seconds that are left, of what ``count`` answered."""
    return found[0], found[1] / 1000
