"""Which provider is asked, and that one that is down is left alone."""

import time
from pathlib import Path

import pytest
from flask import Flask
from structlog.testing import capture_logs

from taskapi.clients.weather import breaker, current_weather, init_weather
from taskapi.clients.weather.base import UnknownCity, WeatherClient, WeatherUnavailable
from tests.clients.weather.provider import FORECAST_PATH, KEY, Provider, reply
from tests.conftest import settings_for


def client(folder: Path, **values: str) -> WeatherClient | None:
    app = Flask("weather")
    init_weather(app, settings_for(folder, "redis://127.0.0.1:1", **values))
    with app.app_context():
        return current_weather()


@pytest.fixture
def meteo(tmp_path: Path, provider: Provider) -> WeatherClient:
    found = client(tmp_path, WEATHER="on", WEATHER_BASE_URL=provider.base)
    assert found is not None
    return found


def test_with_a_key_it_is_openweather_and_without_open_meteo(tmp_path: Path, provider: Provider) -> None:
    base = {"WEATHER": "on", "WEATHER_BASE_URL": provider.base}
    for values, name in (({"OPENWEATHER_API_KEY": KEY}, "openweather"), ({}, "openmeteo")):
        found = client(tmp_path, **base, **values)
        assert found is not None
        assert found.name == name
        assert found.fetch("Paris", deadline=5).temperature == 21.5


def test_the_weather_can_be_switched_off(tmp_path: Path) -> None:
    assert client(tmp_path, WEATHER="off", OPENWEATHER_API_KEY=KEY) is None


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_provider_that_is_down_is_left_alone(status: int, meteo: WeatherClient, provider: Provider) -> None:
    provider.breaks(lambda: reply({}, status))
    with capture_logs() as lines:
        for city in ("Paris", "Lyon", "Nice"):
            with pytest.raises(WeatherUnavailable):
                meteo.fetch(city, deadline=5)
    assert provider.asked == ["Paris"]
    assert [line["event"] for line in lines] == ["weather.provider_down"]


def test_it_is_asked_again_after_a_while(
    meteo: WeatherClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0.05)
    provider.breaks(lambda: reply({}, 500))
    with pytest.raises(WeatherUnavailable):
        meteo.fetch("Paris", deadline=5)
    provider.instead.clear()
    time.sleep(0.06)
    assert meteo.fetch("Paris", deadline=5).condition == "Partly cloudy"


def test_an_unknown_city_does_not_stop_questions_for_others(meteo: WeatherClient, provider: Provider) -> None:
    with pytest.raises(UnknownCity):
        meteo.fetch("Atlantis", deadline=5)
    assert meteo.fetch("Paris", deadline=5).condition == "Partly cloudy"


def test_an_answer_nobody_can_read_does_not_stop_questions_for_others(
    meteo: WeatherClient, provider: Provider
) -> None:
    provider.instead[FORECAST_PATH] = lambda: reply("<html>")
    with pytest.raises(WeatherUnavailable):
        meteo.fetch("Nowhere", deadline=5)
    provider.instead.clear()
    assert meteo.fetch("Paris", deadline=5).condition == "Partly cloudy"
