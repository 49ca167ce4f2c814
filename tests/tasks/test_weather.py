"""The weather of a city: kept, shared by all who ask, and never worth an error."""

import threading
import time as real_time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from werkzeug import Response

from taskapi.background.cache import PREFIX
from taskapi.background.connection import redis_client
from taskapi.clients.weather import breaker, make_weather
from taskapi.core.cache import shared_cache
from taskapi.core.runtime import runtime_settings
from taskapi.tasks import weather as look_up
from taskapi.tasks.weather import weather_at_once, weather_of_body
from tests.clients.servers import raw_server, silent
from tests.clients.weather.provider import PARIS, PLACES_PATH, Provider, reply
from tests.schedules.making import Time
from tests.settings import settings_changed

pytestmark = pytest.mark.one_database
CLOUDY = {"temperature": 21.5, "condition": "Partly cloudy"}
KEY = "weather:openmeteo:paris"


def slow_places(seconds: float) -> Callable[[], Response]:
    def answer() -> Response:
        real_time.sleep(seconds)
        return reply({"results": [PARIS]})

    return answer


def test_the_weather_of_a_city_is_asked_for_once_an_hour(
    context: Flask, time: Time, weather: Provider
) -> None:
    assert [weather_at_once(city) for city in ("Paris", "PARIS", "  paris ", "Pâris")] == [CLOUDY] * 4
    assert weather.asked == ["Paris"]
    time.pass_(minutes=59)
    weather.temperature = 9
    assert weather_at_once("Paris") == CLOUDY
    time.pass_(minutes=2)
    assert weather_at_once("Paris") == {**CLOUDY, "temperature": 9}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        *((401, "{}"), (429, "{}"), (503, "{}"), (200, "<html>Sign in</html>"), (200, '{"results": [[]]}')),
        (200, '{"results": [{"latitude": NaN}], "current": {"temperature_2m": NaN}}'),
    ],
    ids=["key", "limit", "down", "page", "nested", "nan"],
)
def test_while_the_provider_fails_the_weather_of_hours_ago_is_given(
    status: int, content: str, context: Flask, time: Time, weather: Provider
) -> None:
    weather_at_once("Paris")
    weather.breaks(lambda: reply(content, status))
    time.pass_(hours=23)
    assert weather_at_once("Paris") == CLOUDY
    assert weather_at_once("Lyon") is None


def test_nothing_is_kept_for_longer_than_a_day(context: Flask, weather: Provider) -> None:
    weather_at_once("Paris")
    weather_at_once("Atlantis")
    left = [redis_client().ttl(PREFIX + key) for key in (KEY, "weather:openmeteo:atlantis")]
    assert 86_000 < left[0] <= 86_400
    assert 3_500 < left[1] <= 3_600


def test_that_there_is_no_such_city_is_kept_for_an_hour(
    context: Flask, time: Time, weather: Provider
) -> None:
    assert [weather_at_once("Atlantis"), weather_at_once("atlantis")] == [None, None]
    assert weather.asked == ["Atlantis"]
    time.pass_(minutes=61)
    weather_at_once("Atlantis")
    assert weather.asked == ["Atlantis"] * 2


def test_answers_of_one_provider_are_not_taken_for_those_of_another(
    context: Flask, weather: Provider
) -> None:
    weather_at_once("Paris")
    with settings_changed(context, openweather_api_key="key", weather_base_url=weather.base):
        context.extensions["taskapi_weather"] = make_weather(runtime_settings())
    assert weather_at_once("Paris") == {"temperature": 21.5, "condition": "few clouds"}


def test_ten_who_ask_at_once_cost_one_question(app: Flask, weather: Provider) -> None:
    weather.instead[PLACES_PATH] = slow_places(0.1)
    together = threading.Barrier(10)

    def ask(_number: int) -> Any:
        with app.app_context():
            together.wait()
            return weather_at_once("Paris")

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(ask, range(10))) == [CLOUDY] * 10
    assert weather.asked == ["Paris"]


def test_who_waits_for_anothers_question_waits_no_longer_than_for_their_own(
    context: Flask, weather: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_up, "AT_ONCE_SECONDS", 0.2)
    shared_cache().add(f"{KEY}:lock", b"", seconds=60)
    started = real_time.monotonic()
    assert weather_at_once("Paris") is None
    assert 0.2 <= real_time.monotonic() - started < 4
    assert weather.asked == []


def test_who_waits_learns_at_once_that_the_other_got_no_answer(
    context: Flask, weather: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_up, "AT_ONCE_SECONDS", 20.0)
    # As of a process that was killed.
    shared_cache().add(f"{KEY}:lock", b"", seconds=0.1)
    started = real_time.monotonic()
    assert weather_at_once("Paris") is None
    assert real_time.monotonic() - started < look_up.AT_ONCE_SECONDS / 2
    assert weather_at_once("Paris") == CLOUDY


def test_the_lock_is_given_back_whatever_happened(context: Flask, weather: Provider) -> None:
    for city in ("Paris", "Atlantis"):
        weather_at_once(city)
    weather.breaks(lambda: reply("<html>", 200))
    weather_at_once("Lyon")
    assert redis_client().keys("*:lock") == []


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_provider_is_asked_each_time(context: Flask, weather: Provider) -> None:
    assert [weather_at_once("Paris"), weather_at_once("Paris")] == [CLOUDY] * 2
    assert weather.asked == ["Paris"] * 2
    assert weather_at_once("Atlantis") is None


def test_a_provider_that_hangs_is_waited_for_only_so_long(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_up, "AT_ONCE_SECONDS", 1.0)
    with raw_server(silent) as port, settings_changed(context, weather_base_url=f"http://127.0.0.1:{port}"):
        monkeypatch.setitem(context.extensions, "taskapi_weather", make_weather(runtime_settings()))
        started = real_time.monotonic()
        assert weather_at_once("Paris") is None
        assert 1.0 <= real_time.monotonic() - started < 4
        # Nobody else waits for it.
        started = real_time.monotonic()
        assert weather_at_once("Lyon") is None
        assert real_time.monotonic() - started < 1.0


def test_after_a_pause_the_provider_is_asked_again(
    context: Flask, weather: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0)
    weather.breaks(lambda: reply({}, 500))
    assert weather_at_once("Paris") is None
    weather.instead.clear()
    assert weather_at_once("Paris") == CLOUDY


NO_CITIES = [
    {},
    {"city": None},
    {"city": ""},
    {"city": " "},
    {"city": 7},
    {"city": ["Paris"]},
    {"city": "x" * 101},
]


@pytest.mark.parametrize("body", NO_CITIES, ids=range(len(NO_CITIES)))
def test_for_what_is_no_city_nobody_is_asked(body: dict[str, Any], context: Flask, weather: Provider) -> None:
    assert weather_of_body(body) is None
    assert weather.asked == []


def test_nobody_is_asked_when_the_weather_is_switched_off(context: Flask, provider: Provider) -> None:
    assert weather_at_once("Paris") is None
    assert provider.asked == []
