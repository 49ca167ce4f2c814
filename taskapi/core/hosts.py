"""Under which names the service may be called (``ALLOWED_HOSTS``).

Links are made from ``PUBLIC_URL`` alone, so a foreign name does no harm by itself. Where names
are set, a page that lets its own name lead to this machine is refused (DNS rebinding).
"""

import re

from taskapi.core.errors import DomainError
from taskapi.core.runtime import current_request, request_state, runtime_settings

# RFC 9110, 7.2, as far as names are in use: one with an underscore is common in containers.
HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?", re.ASCII | re.IGNORECASE)


class UnknownHost(DomainError):
    """The ``Host`` of the request is no host, or none under which this service answers."""

    code = "unknown_host"
    title = "Unknown host"


def is_host(text: str) -> bool:
    """Whether this is a name or an address, with a port or without."""
    return HOST.fullmatch(text) is not None


def check_host() -> None:
    """Before each request: compare ``Host`` with ``ALLOWED_HOSTS``.

    Probes pass under any name: Kubernetes asks at the address of the pod.

    Raises:
        UnknownHost
    """
    host = current_request().environ.get("HTTP_HOST", "")
    if host and not is_host(host):
        raise UnknownHost("The Host header names no host.")
    allowed = runtime_settings().allowed_hosts
    if not allowed or "*" in allowed or request_state().facts.for_probes:
        return
    name = _name_of(host)
    if not any(_fits(name, _name_of(pattern)) for pattern in allowed):
        raise UnknownHost("This service does not answer under this host name.")


def _name_of(host: str) -> str:
    """The host without its port, in lower case, without the dot of the root."""
    found = HOST.fullmatch(host)
    return (found[1] if found else host).lower().rstrip(".")


def _fits(name: str, pattern: str) -> bool:
    """``.example.org`` stands for the name and all below it, any other pattern for itself."""
    return name == pattern.removeprefix(".") or (pattern.startswith(".") and name.endswith(pattern))
