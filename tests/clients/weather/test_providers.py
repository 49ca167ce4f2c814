"""What both providers of weather answer, and what is made of it."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Response

from taskapi.clients.weather.base import (
    UnknownCity,
    Weather,
    WeatherClient,
    WeatherUnavailable,
)
from taskapi.clients.weather.openmeteo import CONDITIONS, OpenMeteo
from taskapi.clients.weather.openweather import OpenWeather
from tests.clients.servers import raw_server, saying, silent
from tests.clients.weather.provider import (
    FORECAST_PATH,
    KEY,
    OPENWEATHER_PATH,
    PARIS,
    PLACES_PATH,
    Provider,
    reply,
)

KINDS: dict[str, Callable[[str], WeatherClient]] = {
    "openweather": lambda base: OpenWeather(KEY, base),
    "openmeteo": OpenMeteo,
}
both = pytest.mark.parametrize("kind", KINDS)


def fetch(kind: str, provider: Provider, city: str = "Paris") -> Weather:
    return KINDS[kind](provider.base).fetch(city, deadline=5)


def failure(kind: str, provider: Provider) -> WeatherUnavailable:
    with pytest.raises(WeatherUnavailable) as caught:
        fetch(kind, provider)
    return caught.value


def test_openweather_is_asked_by_key_in_degrees_celsius(provider: Provider) -> None:
    assert fetch("openweather", provider) == Weather(temperature=21.5, condition="few clouds")
    (request,) = provider.requests
    assert request.args.to_dict() == {"q": "Paris", "appid": KEY, "units": "metric"}


def test_open_meteo_is_asked_where_the_city_lies_and_then_for_the_weather_there(provider: Provider) -> None:
    assert fetch("openmeteo", provider) == Weather(temperature=21.5, condition="Partly cloudy")
    places, forecast = provider.requests
    assert places.args.to_dict() == {"name": "Paris", "count": "1"}
    wanted = {name: str(value) for name, value in PARIS.items()}
    assert forecast.args.to_dict() == {**wanted, "current": "temperature_2m,weather_code"}


@both
@pytest.mark.parametrize("city", ["São Paulo", "東京", "a&q=b#c?d", "x" * 100, "東" * 100])
def test_the_name_of_a_city_comes_as_it_was_given(kind: str, city: str, provider: Provider) -> None:
    fetch(kind, provider, city)
    assert provider.asked == [city]


@pytest.mark.parametrize("ending", ["", "/", "/data/2.5", "/data/2.5/", "/data/2.5/weather"])
def test_the_base_address_of_openweather_may_hold_the_path(ending: str, provider: Provider) -> None:
    OpenWeather(KEY, provider.base + ending).fetch("Paris", deadline=5)
    assert [request.path for request in provider.requests] == [OPENWEATHER_PATH]


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_base_address_of_open_meteo_may_hold_the_path(ending: str, provider: Provider) -> None:
    OpenMeteo(provider.base + ending).fetch("Paris", deadline=5)
    assert [request.path for request in provider.requests] == [PLACES_PATH, FORECAST_PATH]


@both
def test_a_city_that_the_provider_does_not_know_is_told_apart(kind: str, provider: Provider) -> None:
    with pytest.raises(UnknownCity):
        fetch(kind, provider, "Atlantis")


@both
def test_a_name_that_the_provider_cannot_read_is_an_unknown_city(kind: str, provider: Provider) -> None:
    provider.breaks(lambda: reply({"reason": "Nothing to geocode"}, 400))
    with pytest.raises(UnknownCity):
        fetch(kind, provider)


@both
@pytest.mark.parametrize("status", [204, 401, 403, 418, 429, 500, 503])
def test_an_answer_of_another_status_is_none(kind: str, status: int, provider: Provider) -> None:
    provider.breaks(lambda: reply({}, status))
    assert str(status) in str(failure(kind, provider))


@both
def test_a_redirect_is_not_followed(kind: str, provider: Provider) -> None:
    provider.breaks(lambda: reply({}, 302, Location=f"{provider.base}/elsewhere"))
    failure(kind, provider)
    assert len(provider.requests) == 1


NONSENSE = {
    "nothing": "",
    "HTML": "<html><body>Welcome to the hotel's network</body></html>",
    "a list": "[]",
    "a text": '"sunny"',
    "half": '{"main": {"temp": 1',
    "no UTF-8": b"\xff\xfe{}",
    "twice": '{"main": 1, "main": 2}',
    "deep": '{"main":' * 5000 + "1" + "}" * 5000,
    "empty": {},
    "null": {"weather": None, "main": None, "results": None, "current": None},
    "texts": {"weather": "rain", "main": "20", "results": "here", "current": "20"},
    "lists": {"weather": [], "main": [], "results": [[]], "current": []},
    "nested": {"weather": [[[{}]]], "main": {"temp": {"temp": 1}}, "results": [{"latitude": [1]}]},
}


@both
@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_a_failure(kind: str, answer: str, provider: Provider) -> None:
    # An empty object says of a place that there is none; of the weather it says nothing.
    path = FORECAST_PATH if (kind, answer) == ("openmeteo", "empty") else None
    say = lambda: reply(NONSENSE[answer])  # noqa: E731 - shorter than a function
    provider.instead = dict.fromkeys([path] if path else [OPENWEATHER_PATH, PLACES_PATH], say)
    failure(kind, provider)


@both
@pytest.mark.parametrize("answer", [NONSENSE["HTML"], NONSENSE["null"], NONSENSE["lists"]])
def test_nonsense_after_a_place_was_found_is_a_failure(kind: str, answer: Any, provider: Provider) -> None:
    provider.instead = dict.fromkeys([OPENWEATHER_PATH, FORECAST_PATH], lambda: reply(answer))
    failure(kind, provider)


TEMPERATURES = [150.5, -151, 10**30, 1e308, True, "21.5", None, [21.5], float("nan"), float("inf")]


@both
@pytest.mark.parametrize("temperature", TEMPERATURES, ids=repr)
def test_what_is_no_temperature_on_earth_is_refused(kind: str, temperature: Any, provider: Provider) -> None:
    provider.temperature = temperature
    failure(kind, provider)


@both
@pytest.mark.parametrize("temperature", [-89.2, 0, 56.7, 150, -150])
def test_a_temperature_is_a_number_of_degrees(kind: str, temperature: float, provider: Provider) -> None:
    provider.temperature = temperature
    assert fetch(kind, provider).temperature == temperature


@pytest.mark.parametrize(
    "words", ["x" * 101, "rain\nInjected: 1", "\x1b[31mred", "a\u202eb", " ", 7, {"a": 1}]
)
def test_a_condition_is_a_few_printable_words(words: Any, provider: Provider) -> None:
    provider.words = words
    failure("openweather", provider)


@pytest.mark.parametrize("words", [None, ""])
def test_without_a_description_the_kind_of_weather_will_do(words: Any, provider: Provider) -> None:
    provider.words = words
    assert fetch("openweather", provider).condition == "Clouds"


@pytest.mark.parametrize("code", [-1, 4, 100, 2.5, "2", None])
def test_a_code_that_means_no_weather_is_a_failure(code: Any, provider: Provider) -> None:
    provider.code = code
    failure("openmeteo", provider)


def test_every_code_has_words_of_its_own(provider: Provider) -> None:
    found = []
    for provider.code in CONDITIONS:
        found.append(fetch("openmeteo", provider).condition)
    assert len(set(found)) == len(CONDITIONS)


@both
def test_of_an_answer_of_ten_megabytes_little_is_read(kind: str, provider: Provider) -> None:
    rest = " " * 10_000_000
    whole = '{"weather":[{"main":"Rain"}],"main":{"temp":1},"current":{},"results":[]}' + rest
    provider.breaks(lambda: Response(whole, content_type="application/json"))
    assert str(failure(kind, provider)) == "the answer is too long"


DRIPS = {
    "nothing": silent,
    "a drip": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ", repeat=200, pause=0.05),
}


@both
@pytest.mark.parametrize("drip", DRIPS)
def test_a_slow_provider_has_the_time_it_is_given_and_no_more(kind: str, drip: str) -> None:
    with raw_server(DRIPS[drip]) as port:
        started = time.monotonic()
        with pytest.raises(WeatherUnavailable):
            KINDS[kind](f"http://127.0.0.1:{port}").fetch("Paris", deadline=0.2)
        assert time.monotonic() - started < 5


def test_the_time_is_for_both_requests_together(provider: Provider) -> None:
    def slowly(content: Any) -> Callable[[], Response]:
        def answer() -> Response:
            time.sleep(0.2)
            return reply(content)

        return answer

    provider.instead = {
        PLACES_PATH: slowly({"results": [PARIS]}),
        FORECAST_PATH: slowly({"current": {"temperature_2m": 1, "weather_code": 0}}),
    }
    client = OpenMeteo(provider.base)
    assert client.fetch("Paris", deadline=5).condition == "Clear sky"
    with pytest.raises(WeatherUnavailable):
        client.fetch("Paris", deadline=0.3)


@both
def test_nobody_there_is_a_failure(kind: str) -> None:
    with pytest.raises(WeatherUnavailable):
        KINDS[kind]("http://127.0.0.1:1").fetch("Paris", deadline=5)


@pytest.mark.parametrize("status", [200, 401, 500])
def test_no_failure_tells_the_key(
    status: int, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.breaks(lambda: Response(f"your key is {KEY}", status, {f"Bad {KEY}": "header"}))
    error = failure("openweather", provider)
    assert KEY not in repr((error, error.__cause__))
    assert error.__cause__ is None
    assert KEY not in json.dumps(capsys.readouterr())
