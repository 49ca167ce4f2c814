"""Whom to believe about where a request came from.

The client is the peer of the connection. Only a proxy of ``TRUSTED_PROXIES`` is believed when it
names another: ``X-Forwarded-For`` is read from the right, where each proxy appends its own peer;
what stands left of the first address that is no proxy was written by the client and may be a lie
(MDN, X-Forwarded-For, "Selecting an IP address"). ``Forwarded`` (RFC 7239) is not read: a proxy
that does not know the one header passes on what the client wrote into it.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from flask import Flask

from taskapi.config import Settings
from taskapi.core.hosts import is_host
from taskapi.environment import Network

Address = IPv4Address | IPv6Address
WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

# Where the environment of a request keeps the other end of its connection.
PEER = "taskapi.peer"
# The part of an IPv6 address that one host cannot choose freely (RFC 4291, 2.5.4).
HOST_BITS = 64
# Some proxies add the port of their peer: 192.0.2.1:4711, [2001:db8::1]:4711.
WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](?::\d+)?|(?P<four>\d+\.\d+\.\d+\.\d+):\d+", re.ASCII)


def install_proxies(app: Flask, settings: Settings) -> None:
    """Let requests through the trusted proxies tell of their clients; without any nothing changes."""
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]


def read_address(text: str | None) -> Address | None:
    """The address, with a port or without, or None if it is none; ``::ffff:192.0.2.1`` is IPv4."""
    text = (text or "").strip()
    with_port = WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port["six"] or with_port["four"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network_of(address: str | None) -> str:
    """What is compared of a client's address: of IPv6 the network; empty if it cannot be read.

    One host has 2^64 addresses in its network.
    """
    found = read_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Address(int(found) >> HOST_BITS << HOST_BITS))
    return str(found or "")


class TrustedProxies:
    """WSGI middleware that puts the client where the last proxy stands."""

    def __init__(self, application: WsgiApplication, networks: tuple[Network, ...]) -> None:
        self._application = application
        self._networks = networks

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        peer = read_address(environ.get("REMOTE_ADDR"))
        if peer is not None and self._trusts(peer):
            self._believe(environ, peer)
        return self._application(environ, start_response)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _believe(self, environ: dict[str, Any], peer: Address) -> None:
        environ[PEER] = str(peer)
        environ["REMOTE_ADDR"] = str(self._client(peer, environ.get("HTTP_X_FORWARDED_FOR", "")))
        scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")).lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        host = _last(environ.get("HTTP_X_FORWARDED_HOST", ""))
        if is_host(host):
            environ["HTTP_HOST"] = host

    def _client(self, peer: Address, forwarded_for: str) -> Address:
        """The first address from the right that is no proxy of ours, or the last one that can be read."""
        client = peer
        for entry in reversed(forwarded_for.split(",")):
            address = read_address(entry)
            if address is None or not self._trusts(client):
                break
            client = address
        return client


def _last(values: str) -> str:
    # The value of the nearest proxy, which is known: those before it may be the client's.
    return values.rpartition(",")[2].strip()
