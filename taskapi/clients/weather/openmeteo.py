"""Open-Meteo: where a city lies, and then the weather there. It needs no key."""

import time

from taskapi.clients.weather.base import (
    UnknownCity,
    Weather,
    WeatherUnavailable,
    ask,
    member,
    number,
    read_weather,
)

GEOCODING_BASE = "https://geocoding-api.open-meteo.com"
FORECAST_BASE = "https://api.open-meteo.com"
# Codes of present weather (WMO code table 4677), as far as Open-Meteo uses and in the way it reads them.
CONDITIONS = {
    0: "Clear sky",
    1: "Mainly clear",
    2: "Partly cloudy",
    3: "Overcast",
    45: "Fog",
    48: "Rime fog",
    51: "Light drizzle",
    53: "Drizzle",
    55: "Dense drizzle",
    56: "Light freezing drizzle",
    57: "Freezing drizzle",
    61: "Light rain",
    63: "Rain",
    65: "Heavy rain",
    66: "Light freezing rain",
    67: "Freezing rain",
    71: "Light snow",
    73: "Snow",
    75: "Heavy snow",
    77: "Snow grains",
    80: "Light rain showers",
    81: "Rain showers",
    82: "Violent rain showers",
    85: "Light snow showers",
    86: "Heavy snow showers",
    95: "Thunderstorm",
    96: "Thunderstorm with light hail",
    99: "Thunderstorm with heavy hail",
}


class OpenMeteo:
    """Asks two services, which may have one base address."""

    name = "openmeteo"

    def __init__(self, base: str | None = None) -> None:
        self._places = f"{(base or GEOCODING_BASE).rstrip('/').removesuffix('/v1')}/v1/search"
        self._forecast = f"{(base or FORECAST_BASE).rstrip('/').removesuffix('/v1')}/v1/forecast"

    def fetch(self, city: str, *, deadline: float) -> Weather:
        give_up_at = time.monotonic() + deadline
        latitude, longitude = self._find(city, seconds=deadline)
        query = {"latitude": latitude, "longitude": longitude, "current": "temperature_2m,weather_code"}
        content = ask(self._forecast, query, seconds=give_up_at - time.monotonic())
        current = member(content, "current")
        code = number(member(current, "weather_code"), most=99)
        if code not in CONDITIONS:
            raise WeatherUnavailable(f"the code {code:g} means no weather")
        return read_weather(member(current, "temperature_2m"), CONDITIONS[int(code)])

    def _find(self, city: str, *, seconds: float) -> tuple[float, float]:
        query = {"name": city, "count": "1"}
        # 400 is said to names that it cannot read.
        places = ask(self._places, query, seconds=seconds, unknown=(400,)).get("results", [])
        if places == []:
            raise UnknownCity
        place = member(places, 0)
        return number(member(place, "latitude"), most=90), number(member(place, "longitude"), most=180)
