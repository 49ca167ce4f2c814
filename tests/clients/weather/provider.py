"""A provider of weather on this machine: it speaks both protocols, and misbehaves when told to."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEY = "secret-key-of-the-operator"
PARIS = {"latitude": 48.85, "longitude": 2.35}
OPENWEATHER_PATH, PLACES_PATH, FORECAST_PATH = "/data/2.5/weather", "/v1/search", "/v1/forecast"


@dataclass
class Provider:
    """Knows every city but Atlantis.

    Attributes:
        temperature: everywhere, in °C.
        code, words: what kind of weather it is, in the words of Open-Meteo and of OpenWeather.
        instead: path → what answers in the place of the provider.
        asked: the cities that somebody asked for, in order.
        odd_cities: those for which it answers what nobody can read.
    """

    server: HTTPServer
    temperature: Any = 21.5
    code: Any = 2
    words: Any = "few clouds"
    instead: dict[str, Callable[[], Response]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    odd_cities: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)

    @property
    def base(self) -> str:
        return self.server.url_for("").rstrip("/")

    def breaks(self, answer: Callable[[], Response]) -> None:
        """Every request is answered so from now on."""
        self.instead = dict.fromkeys((OPENWEATHER_PATH, PLACES_PATH, FORECAST_PATH), answer)

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        city = request.args.get("q") or request.args.get("name")
        if city:
            self.asked.append(city)
        if request.path in self.instead:
            return self.instead[request.path]()
        if city in self.odd_cities:
            return reply([])
        if city == "Atlantis":
            unknown = {OPENWEATHER_PATH: (404, {"cod": "404"}), PLACES_PATH: (200, {"generationtime_ms": 1})}
            status, content = unknown[request.path]
            return reply(content, status)
        return reply(self._contents()[request.path])

    def _contents(self) -> dict[str, Any]:
        return {
            OPENWEATHER_PATH: {
                "weather": [{"id": 801, "main": "Clouds", "description": self.words}],
                "main": {"temp": self.temperature, "humidity": 40},
            },
            PLACES_PATH: {"results": [{"name": "Paris", **PARIS}]},
            FORECAST_PATH: {"current": {"temperature_2m": self.temperature, "weather_code": self.code}},
        }


def reply(content: Any, status: int = 200, **headers: str) -> Response:
    """``content`` as JSON, or as it is when it is text already."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    return Response(text, status, headers, content_type="application/json")


@pytest.fixture(scope="module")
def weather_server() -> Iterator[HTTPServer]:
    # One thread a request, so that many can wait at once.
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def provider(weather_server: HTTPServer) -> Provider:
    """A provider that each test finds as new."""
    weather_server.clear()
    provider = Provider(weather_server)
    for path in (OPENWEATHER_PATH, PLACES_PATH, FORECAST_PATH):
        weather_server.expect_request(path).respond_with_handler(provider.answer)
    return provider
