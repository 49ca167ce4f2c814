"""Why a live connection is not opened."""

from taskapi.core.errors import DomainError, Forbidden


class ForeignOrigin(Forbidden):
    """A page of another site may not open a WebSocket here, unless ``CORS_ORIGINS`` lists the site."""

    code = "foreign_origin"
    title = "Foreign origin"


class UpgradeRequired(DomainError):
    """This address speaks WebSocket, version 13 (RFC 6455): send the headers of its handshake."""

    status = 426
    code = "upgrade_required"
    title = "Upgrade required"


class BadHandshake(DomainError):
    """``Sec-WebSocket-Key`` must be 16 bytes in base64 (RFC 6455, 4.2.1)."""

    code = "bad_handshake"
    title = "Bad WebSocket handshake"


class TooManyConnections(DomainError):
    """This process keeps as many connections open as it may; try again soon."""

    status = 503
    code = "too_many_connections"
    title = "Too many connections"
