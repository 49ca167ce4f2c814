"""The provider that tests ask for the weather."""

from tests.clients.weather.provider import provider, weather_server

__all__ = ("provider", "weather_server")
