"""Reads one setting at a time: from the environment, from a file, from ``.env``.

It knows kinds of values, not settings; those are in ``config``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
HTTP = ("http", "https")
PORT_RANGE = {"minimum": 1, "maximum": 65535}
Network = IPv4Network | IPv6Network
ALL_NETWORKS: tuple[Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class ConfigError(ValueError):
    """A setting is missing or wrong; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    amount: int
    seconds: int


class Environment:
    """Reads one kind of value at a time and names the setting in every complaint."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        """The value without surrounding blanks; an empty value counts as unset."""
        value = self._values.get(name, "").strip()
        return value or None

    def first(self, *names: str) -> str | None:
        return next((value for name in names if (value := self.text(name))), None)

    def secret(self, name: str) -> str | None:
        """The value of NAME, or the content of the file that NAME_FILE points to."""
        path = self.text(f"{name}_FILE")
        if path is None:
            return self.text(name)
        if self.text(name):
            raise ConfigError(f"{name} and {name}_FILE are both set: keep one")
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}_FILE: cannot read {path}: {error}") from error

    def boolean(self, name: str, default: bool) -> bool:
        value = self.text(name) or str(default)
        if value.lower() not in TRUE_WORDS | FALSE_WORDS:
            raise ConfigError(f"{name} must be true or false, not {value!r}")
        return value.lower() in TRUE_WORDS

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = 2**31) -> int:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise ConfigError(f"{name} must be a whole number, not {value!r}") from None
        if not minimum <= number <= maximum:
            raise ConfigError(f"{name} must be between {minimum} and {maximum}, not {number}")
        return number

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        value = self.text(name) or default
        for option in options:
            if value.lower() == option.lower():
                return option
        raise ConfigError(f"{name} must be one of {', '.join(options)}, not {value!r}")

    def words(self, name: str) -> tuple[str, ...]:
        """The values of a list whose members are separated by commas."""
        return tuple(word.strip() for word in (self.text(name) or "").split(",") if word.strip())

    def rate(self, name: str, default: str) -> Rate | None:
        """A limit such as 100/minute; None when it is switched off."""
        value = (self.text(name) or default).lower()
        if value == "off":
            return None
        amount, _, unit = value.partition("/")
        if (
            not (amount.isdecimal() and amount.isascii() and 0 < int(amount) < 10**9)
            or unit not in SECONDS_OF
        ):
            raise ConfigError(f"{name} must be like 100/minute (or second, hour, day), or off, not {value!r}")
        return Rate(int(amount), SECONDS_OF[unit])

    def networks(self, name: str) -> tuple[Network, ...]:
        """Addresses and networks, such as 10.0.0.0/8, separated by commas."""
        try:
            return tuple(ip_network(word) for word in self.words(name))
        except ValueError as error:
            raise ConfigError(f"{name} must be addresses or networks, separated by commas: {error}") from None

    def networks_or_all(self, name: str) -> tuple[Network, ...]:
        """As ``networks``; one word for true stands for every address, one for false for none."""
        word = (self.text(name) or "0").lower()
        if word in TRUE_WORDS | FALSE_WORDS:
            return ALL_NETWORKS if word in TRUE_WORDS else ()
        return self.networks(name)

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        value = self.secret(name)
        if value is None:
            return None
        if not _is_url(value, schemes):
            starts = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ConfigError(f"{name} is not a URL that starts with {starts}")
        return value


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in schemes or not value.startswith(f"{parts.scheme}://"):
        return False
    return port != 0 and (parts.hostname is not None or not parts.scheme.startswith("http"))


def read_values() -> dict[str, str]:
    """What ``.env`` in the working directory says, and over it the process environment.

    Raises:
        ConfigError: the file cannot be read.
    """
    return {**_dotenv(), **os.environ}


def _dotenv() -> dict[str, str]:
    try:
        return {key: value or "" for key, value in dotenv_values(".env").items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f".env cannot be read: {error}") from error


def single_line(name: str, value: str) -> str:
    if any(not character.isprintable() for character in value):
        raise ConfigError(f"{name} must be one line of printable text")
    return value
