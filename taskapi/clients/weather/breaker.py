"""A provider that is down is left alone for a while: each question would cost its whole time limit."""

import math
import time

import structlog

from taskapi.clients.weather.base import ProviderDown, Weather, WeatherClient

log = structlog.get_logger(__name__)

# Also for a key that is refused (401) or used up (429): who goes on asking gets blocked.
PAUSE_SECONDS = 30.0


class Breaker:
    """Passes questions on, but for a while after one that failed; each process learns it by itself."""

    def __init__(self, client: WeatherClient) -> None:
        self._client = client
        self._closed_until = -math.inf

    @property
    def name(self) -> str:
        return self._client.name

    def fetch(self, city: str, *, deadline: float) -> Weather:
        if time.monotonic() < self._closed_until:
            raise ProviderDown("it failed a moment ago")
        try:
            return self._client.fetch(city, deadline=deadline)
        except ProviderDown as failure:
            self._closed_until = time.monotonic() + PAUSE_SECONDS
            log.warning("weather.provider_down", provider=self.name, reason=str(failure))
            raise
