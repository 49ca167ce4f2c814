"""The weather of cities: from OpenWeather when there is a key for it, else from Open-Meteo."""

from flask import Flask, current_app

from taskapi.clients.weather.base import WeatherClient
from taskapi.clients.weather.breaker import Breaker
from taskapi.clients.weather.openmeteo import OpenMeteo
from taskapi.clients.weather.openweather import OpenWeather
from taskapi.config import Settings


def init_weather(app: Flask, settings: Settings) -> None:
    """Give the application its client, or none when the weather is switched off; nothing is connected."""
    app.extensions["taskapi_weather"] = make_weather(settings) if settings.weather else None


def make_weather(settings: Settings) -> WeatherClient:
    key, base = settings.openweather_api_key, settings.weather_base_url
    return Breaker(OpenWeather(key, base) if key else OpenMeteo(base))


def current_weather() -> WeatherClient | None:
    """The client of the running application; None when the weather is switched off."""
    found: WeatherClient | None = current_app.extensions["taskapi_weather"]
    return found
