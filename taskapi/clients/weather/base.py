"""What a provider of weather can do, and how its answers are read: strictly, for anything may come."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from taskapi.clients.http import KEPT_BYTES, Call, CallFailed, send
from taskapi.core.errors import MalformedJson
from taskapi.core.json import load_strict
from taskapi.environment import ALL_NETWORKS

LONGEST_CONDITION = 100
# In °C: no thermometer on Earth has shown more than half of it above zero.
EXTREME_TEMPERATURE = 150.0


class WeatherUnavailable(Exception):
    """There is no usable answer; the message never holds the URL, which may hold a key."""


class ProviderDown(WeatherUnavailable):
    """The provider would not answer the next question either, or only slowly."""


class UnknownCity(Exception):
    """The provider knows no city of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """``temperature`` in °C, and the ``condition`` in a few words, such as ``Partly cloudy``."""

    temperature: float
    condition: str


class WeatherClient(Protocol):
    """Asks one provider."""

    @property
    def name(self) -> str:
        """Tells providers apart, whose answers differ."""

    def fetch(self, city: str, *, deadline: float) -> Weather:
        """The weather in a city, now.

        Args:
            deadline: seconds for all of it.

        Raises:
            WeatherUnavailable, UnknownCity
        """


def ask(
    url: str, query: Mapping[str, object], *, seconds: float, unknown: Collection[int] = ()
) -> dict[str, Any]:
    """The object that a provider answers.

    Args:
        seconds: for the whole answer.
        unknown: statuses by which the provider says that it does not know the city.

    Raises:
        WeatherUnavailable, UnknownCity
    """
    call = Call(method="GET", url=f"{url}?{urlencode(query)}", headers={"Accept": "application/json"})
    try:
        # The operator chose where, so inner addresses are fine; redirects are not followed.
        answer = send(call, allowed=ALL_NETWORKS, timeout=seconds)
    except CallFailed as error:
        raise ProviderDown(error.code) from None
    if answer.status in unknown:
        raise UnknownCity
    if answer.status != 200:
        raise ProviderDown(f"status {answer.status}")
    return _object(answer.body)


def _object(body: bytes) -> dict[str, Any]:
    if len(body) >= KEPT_BYTES:
        raise WeatherUnavailable("the answer is too long")
    try:
        content = load_strict(body)
    except MalformedJson:
        raise WeatherUnavailable("the answer is not JSON") from None
    if not isinstance(content, dict):
        raise WeatherUnavailable("the answer is not an object")
    return content


def member(content: Any, name: str | int) -> Any:
    """What an object has by this name, or a list at this place; None where there is nothing."""
    if isinstance(name, int):
        return content[name] if isinstance(content, list) and len(content) > name else None
    return content.get(name) if isinstance(content, dict) else None


def number(value: Any, *, most: float) -> float:
    """A number between ``-most`` and ``most``.

    Raises:
        WeatherUnavailable: it is something else.
    """
    # In Python true is a number, too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > most:
        raise WeatherUnavailable("the answer has no sensible number where one belongs")
    return float(value)


def read_weather(temperature: Any, condition: Any) -> Weather:
    """The weather of what a provider answered.

    Raises:
        WeatherUnavailable: it is none.
    """
    degrees = number(temperature, most=EXTREME_TEMPERATURE)
    words = condition.strip() if isinstance(condition, str) else ""
    if not 0 < len(words) <= LONGEST_CONDITION or not words.isprintable():
        raise WeatherUnavailable("the answer has no condition in a few words")
    return Weather(temperature=degrees, condition=words)
