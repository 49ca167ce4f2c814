"""The weather of a city, kept for all processes: asked for once an hour, and by one of them at a time.

Nothing here may be called inside a transaction: a provider is asked over the network.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import orjson
import structlog

from taskapi.clients.weather import current_weather
from taskapi.clients.weather.base import UnknownCity, Weather, WeatherClient, WeatherUnavailable
from taskapi.core import clock
from taskapi.core.cache import shared_cache
from taskapi.core.folding import folded

log = structlog.get_logger(__name__)

# What a request waits for the weather at most, all steps together.
AT_ONCE_SECONDS = 2.0
FRESH_SECONDS = 3600.0
# While the provider fails, the weather of some hours ago is better than none.
KEPT_SECONDS = 86_400.0
# Who waits for somebody else's answer looks so often whether it is there.
LOOK_AGAIN_SECONDS = 0.03
LONGEST_CITY = 100
# ``{temperature (°C), condition}``; None where there is none, or none yet.
Found: TypeAlias = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a provider said, some time ago; ``weather`` is None when it knows no such city."""

    weather: Found
    at: float

    @property
    def is_fresh(self) -> bool:
        return clock.now().timestamp() - self.at < FRESH_SECONDS


def weather_of_body(body: dict[str, Any]) -> Found:
    """The weather of the ``city`` in a body that nobody has checked yet; None when there is none."""
    city = body.get("city")
    if not isinstance(city, str) or not city.strip() or len(city) > LONGEST_CITY:
        return None
    return weather_at_once(city)


def weather_at_once(city: str) -> Found:
    """The weather of a city, or None when it is not to be had in ``AT_ONCE_SECONDS``."""
    try:
        return weather_of(city, seconds=AT_ONCE_SECONDS)
    except WeatherUnavailable as failure:
        log.debug("weather.put_off", reason=str(failure))
        return None


def weather_of(city: str, *, seconds: float) -> Found:
    """The weather of a city, at most an hour old, or a day while the provider fails.

    Args:
        seconds: for all of it.

    Returns:
        None when the provider knows no such city.

    Raises:
        WeatherUnavailable
    """
    client, give_up_at = current_weather(), time.monotonic() + seconds
    if client is None:
        raise WeatherUnavailable("it is switched off")
    name = " ".join(city.split())
    key = f"weather:{client.name}:{folded(name)}"
    kept = _read(key)
    if kept is None or not kept.is_fresh:
        kept = _renewed(client, key, name, kept, give_up_at)
    return kept.weather


def _renewed(client: WeatherClient, key: str, city: str, old: Kept | None, give_up_at: float) -> Kept:
    # A process that was killed holds the lock no longer than it could have fetched.
    locked = shared_cache().add(_lock(key), b"", seconds=_left(give_up_at) + 1)
    try:
        if locked is False:
            return _fetched_by_another(key, give_up_at)
        # Somebody else may have fetched it between our look and the lock.
        kept = _read(key) if locked else None
        return kept if kept and kept.is_fresh else _fetched(client, key, city, give_up_at)
    except WeatherUnavailable:
        if old is None or old.weather is None:
            raise
        return old
    finally:
        if locked:
            shared_cache().remove(_lock(key))


def _fetched(client: WeatherClient, key: str, city: str, give_up_at: float) -> Kept:
    weather: Weather | None
    try:
        weather = client.fetch(city, deadline=_left(give_up_at))
    except UnknownCity:
        weather = None
    kept = Kept(asdict(weather) if weather else None, clock.now().timestamp())
    shared_cache().put(key, orjson.dumps(kept), seconds=KEPT_SECONDS if weather else FRESH_SECONDS)
    return kept


def _fetched_by_another(key: str, give_up_at: float) -> Kept:
    while _left(give_up_at) > 0:
        # The lock first: when it is gone before the look, what was fetched is there at the look.
        is_fetched = shared_cache().get(_lock(key)) is None
        kept = _read(key)
        if kept and kept.is_fresh:
            return kept
        if is_fetched:
            raise WeatherUnavailable("who asked the provider got no answer")
        time.sleep(LOOK_AGAIN_SECONDS)
    raise WeatherUnavailable("who asked the provider still waits")


def _read(key: str) -> Kept | None:
    found = shared_cache().get(key)
    return Kept(**orjson.loads(found)) if found is not None else None


def _lock(key: str) -> str:
    return f"{key}:lock"


def _left(give_up_at: float) -> float:
    return give_up_at - time.monotonic()
