"""Which targets in the network may be called on somebody's behalf, and what a URL says of one.

A URL that people choose must not reach what only this machine can reach: itself, its neighbours,
the metadata service of its cloud (OWASP, Server-Side Request Forgery). Python's ``is_global``
changes with its version and calls NAT64 of a private address global, so the networks stand here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from taskapi.environment import Network

Address = IPv4Address | IPv6Address

# The IANA registries of special-purpose addresses (RFC 6890), but for what is reached globally.
CLOSED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # between a provider and its customers (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "168.63.129.16/32",  # the platform's service in each machine of Azure, a public address
        "169.254.0.0/16",  # link-local (RFC 3927), and the metadata services of most clouds
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112), and broadcast
    )
)
# All other IPv6 is loopback, link-local, private, multicast or unassigned (RFC 4291, 2.4).
OPEN_IPV6 = IPv6Network("2000::/3")
CLOSED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, among them Teredo, which holds an IPv4 address (RFC 2928)
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4, which holds an IPv4 address (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# These stand for the IPv4 address in their last 32 bits (RFC 4291, 2.5.5.2; RFC 6052, 2.1).
TRANSLATED = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 2_000
# RFC 1123, 2.1, and the underscore that is common in containers.
HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
# The system reads 127.1, 0x7f.1 and 2130706433 as addresses (inet_aton); so do browsers.
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class TargetRefused(ValueError):
    """The URL cannot be called, or must not be; the message says why in words for its author."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is called: ``host`` is a name in ASCII or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str


def read_target(url: str) -> Target:
    """Take a URL apart, once: what is checked is what is called.

    Raises:
        TargetRefused: it is no URL of http or https, or names its host in an ambiguous way.
    """
    if len(url) > MAX_URL_LENGTH:
        raise TargetRefused(f"The URL is longer than {MAX_URL_LENGTH:,} characters.")
    if any(letter <= " " or letter in "\x7f\\" for letter in url):
        raise TargetRefused("The URL must not contain blanks, control characters or backslashes.")
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise TargetRefused("This is not a URL such as https://example.org/path.") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.host:
        raise TargetRefused("The URL must start with https:// or http:// and name a host.")
    if parts.auth is not None:
        raise TargetRefused("Leave user and password out of the URL; send an Authorization header.")
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if not 1 <= port <= 65535:
        raise TargetRefused("The port must lie between 1 and 65535.")
    return Target(parts.scheme, _read_host(parts.host), port, parts.request_uri)


def _read_host(host: str) -> str:
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    if host.endswith("."):
        raise TargetRefused("The host must not end with a dot.")
    if not HOST_NAME.fullmatch(host):
        raise TargetRefused("The URL does not name a host such as example.org.")
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise TargetRefused("An IPv4 address has four decimal numbers, as in 192.0.2.1.") from None
    return host


def _read_ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise TargetRefused("The URL does not name an IPv6 address such as [2001:db8::1].") from None
    if address.scope_id is not None:
        raise TargetRefused("An address with a zone belongs to one machine's network.")
    return str(address)


def check_addresses(host: str, addresses: Iterable[Address], *, allowed: Sequence[Network]) -> None:
    """Refuse a host if any of its addresses is not public and not in a network that is allowed.

    Raises:
        TargetRefused: it does not tell the address, which may be an inner one.
    """
    if not all(_may_call(address, allowed) for address in addresses):
        raise TargetRefused(
            f"{host} is in a network that is not public; the operator may allow it (WEBHOOK_ALLOW_PRIVATE)."
        )


def _may_call(address: Address, allowed: Sequence[Network]) -> bool:
    if isinstance(address, IPv6Address) and any(address in network for network in TRANSLATED):
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    return any(address in network for network in allowed) or _is_public(address)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_IPV4)
    return address in OPEN_IPV6 and not any(address in network for network in CLOSED_IPV6)
