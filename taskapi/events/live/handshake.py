"""Whether a request may become a WebSocket (RFC 6455, 4.2)."""

import base64
import binascii
from urllib.parse import urlsplit

from flask import Request
from websockets.utils import accept_key

from taskapi.config import Settings
from taskapi.events.live.errors import BadHandshake, ForeignOrigin, UpgradeRequired

VERSION = "13"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def check_origin(request: Request, settings: Settings) -> None:
    """Refuse pages of other sites: a browser lets any page open a WebSocket anywhere.

    Programs send no Origin. The service's own pages and those of ``CORS_ORIGINS`` are let in.

    Raises:
        ForeignOrigin
    """
    origin = request.headers.get("Origin")
    if origin is None or _is_own(origin.lower(), request.host, settings):
        return
    raise ForeignOrigin("This page belongs to another site.")


def _is_own(origin: str, host: str, settings: Settings) -> bool:
    if origin == "null":
        # Anybody can call themselves that, so it names nobody.
        return False
    if "*" in settings.cors_origins or origin in settings.cors_origins:
        return True
    scheme, _, site = origin.partition("://")
    if scheme not in DEFAULT_PORTS:
        return False
    public = urlsplit(settings.public_url.lower())
    is_public = scheme == public.scheme and _site(site, scheme) == _site(public.netloc, scheme)
    return is_public or _site(site, scheme) == _site(host.lower(), scheme)


def _site(host: str, scheme: str) -> str:
    return host.removesuffix(DEFAULT_PORTS[scheme])


def accept(request: Request) -> dict[str, str]:
    """The headers that turn the connection into a WebSocket.

    Raises:
        UpgradeRequired, BadHandshake
    """
    if not _asks_for_upgrade(request):
        raise UpgradeRequired(headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    if request.headers.get("Sec-WebSocket-Version") != VERSION:
        asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": VERSION}
        raise UpgradeRequired(f"Only version {VERSION} of WebSocket is spoken here.", headers=asked)
    key = request.headers.get("Sec-WebSocket-Key", "")
    if not _is_key(key):
        raise BadHandshake
    return {"Upgrade": "websocket", "Sec-WebSocket-Accept": accept_key(key)}


def _asks_for_upgrade(request: Request) -> bool:
    tokens = {token.strip().lower() for token in request.headers.get("Connection", "").split(",")}
    offers = {token.strip().lower() for token in request.headers.get("Upgrade", "").split(",")}
    speaks = request.method == "GET" and request.environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
    return speaks and "upgrade" in tokens and "websocket" in offers


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
