"""OpenWeather, current weather data 2.5: one request with the operator's key."""

from taskapi.clients.weather.base import Weather, ask, member, read_weather

BASE = "https://api.openweathermap.org"
PATH = "/data/2.5"
# 400 is said to names without a letter in them ("Nothing to geocode").
UNKNOWN = (400, 404)


class OpenWeather:
    """Asks by a key, which stands in the URL and so must stay out of logs."""

    name = "openweather"

    def __init__(self, key: str, base: str | None = None) -> None:
        """``base`` may end with the path of the API, as some write it."""
        self._key = key
        self._url = f"{(base or BASE).rstrip('/').removesuffix('/weather').removesuffix(PATH)}{PATH}/weather"

    def fetch(self, city: str, *, deadline: float) -> Weather:
        query = {"q": city, "appid": self._key, "units": "metric"}
        content = ask(self._url, query, seconds=deadline, unknown=UNKNOWN)
        kind = member(member(content, "weather"), 0)
        words = member(kind, "description") or member(kind, "main")
        return read_weather(member(member(content, "main"), "temp"), words)
