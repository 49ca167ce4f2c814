"""Calling URLs that people chose, safely: address checked, time and size bounded, nothing followed.

The name is resolved once; all its addresses are checked and one of them is connected to, so that
no second answer of a name server can lead elsewhere (DNS rebinding). TLS still verifies the name.
Redirects are answers like any other; proxies of the environment and cookies are unknown here.
"""

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import ip_address

from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

from taskapi.clients.addresses import Target, TargetRefused, check_addresses, read_target
from taskapi.clients.sockets import Candidate, Limits, dial, encrypt, look_up
from taskapi.core import clock
from taskapi.environment import Network
from taskapi.version import VERSION

LOOKUP_SECONDS = 10.0
KEPT_BYTES = 65_536
HEADERS = {"User-Agent": f"taskapi/{VERSION}", "Accept-Encoding": "identity"}

# It warns of odd headers with the whole URL, in which people put keys.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class CallFailed(Exception):
    """There is no answer; ``temporary`` says whether trying again makes sense."""

    code = "call_failed"
    temporary = True


class CallRefused(CallFailed):
    """The target must not be called."""

    code = "target_refused"
    temporary = False


class Unreachable(CallFailed):
    """The host was not found, took no connection, or broke it."""

    code = "unreachable"


class CallTimedOut(CallFailed):
    """The answer was not complete in time."""

    code = "timeout"


class TlsFailed(CallFailed):
    """No encrypted connection, or the certificate is not the host's."""

    code = "tls_failed"
    temporary = False


class BadAnswer(CallFailed):
    """What came was not HTTP, or far too much of it."""

    code = "bad_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request. ``url`` is not trusted; ``headers`` are ASCII and not those of the connection."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the target said; of the body the first ``KEPT_BYTES``, with its coding if it has one."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, as ``Retry-After`` asks in seconds or by a date (RFC 9110, 10.2.3)."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal() and text.isascii():
            return float(text[:10])
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        # "-0000" stands for UTC too, but is read as a time without a zone.
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - clock.now()).total_seconds(), 0.0)

    @property
    def words(self) -> str:
        """The status with its phrase, such as ``404 Not Found``."""
        known = {each.value: each.phrase for each in HTTPStatus}
        return f"{self.status} {known.get(self.status, '')}".rstrip()


def send(
    call: Call, *, allowed: Sequence[Network], timeout: float, check: Callable[[], None] | None = None
) -> Answer:
    """Make the call, all of it within ``timeout`` seconds.

    Args:
        allowed: networks that may be called although they are not public.
        check: called each half a second while something is waited for; what it raises ends the call.

    Raises:
        CallFailed: one of its kinds; an answer of any status is none of them.
    """
    started = time.monotonic()
    limits = Limits(give_up_at=started + timeout, check=check)
    headers = HTTPHeaderDict(HEADERS)
    headers.update(call.headers)
    with _named(limits):
        target = read_target(call.url)
        candidates = _candidates(target, allowed, limits.left(LOOKUP_SECONDS), check)
        with closing(_connect(target, candidates, limits)) as connection:
            connection.request(call.method, target.path, call.body, headers, preload_content=False)
            with closing(connection.getresponse()) as response:
                body = _read(response)
    duration_ms = round((time.monotonic() - started) * 1000)
    return Answer(status=response.status, headers=response.headers, body=body, duration_ms=duration_ms)


def check_target(url: str, *, allowed: Sequence[Network], patience: float) -> None:
    """Say early what ``send`` would refuse; a name that does not resolve within ``patience`` seconds passes.

    Raises:
        TargetRefused
    """
    target = read_target(url)
    with suppress(OSError):
        _candidates(target, allowed, patience)


def _candidates(
    target: Target, allowed: Sequence[Network], patience: float, check: Callable[[], None] | None = None
) -> list[Candidate]:
    """Where to connect: the addresses of the host, all of them checked."""
    candidates = look_up(target.host, target.port, patience, check)
    addresses = [ip_address(candidate[1][0]) for candidate in candidates]
    check_addresses(target.host, addresses, allowed=allowed)
    return candidates


def _connect(target: Target, candidates: list[Candidate], limits: Limits) -> HTTPConnection:
    """A connection to the first candidate that takes one; it will not look for another by itself."""
    sock = dial(candidates, limits)
    if target.scheme == "http":
        connection = HTTPConnection(target.host, target.port)
        connection.sock = sock
        return connection
    secure = HTTPSConnection(target.host, target.port)
    secure.sock = encrypt(sock, target.host)
    return secure


def _read(response: HTTPResponse) -> bytes:
    """The beginning of the body; the rest is never read, for the connection is closed after it."""
    body = b""
    # Until nothing comes: only then is it known that a body is shorter than was announced.
    while len(body) < KEPT_BYTES and (part := response.read(KEPT_BYTES - len(body), decode_content=False)):
        body += part
    return body


@contextmanager
def _named(limits: Limits) -> Iterator[None]:
    """Give what goes wrong on the way one of our names."""
    try:
        yield
    except TargetRefused as error:
        raise CallRefused(str(error)) from error
    except (TimeoutError, ReadTimeoutError) as error:
        raise CallTimedOut("There was no complete answer in time.") from error
    except socket.gaierror as error:
        raise Unreachable(f"The host was not found: {error.strerror}.") from error
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(f"The certificate is not accepted: {error.verify_message}") from error
    except ssl.SSLEOFError as error:
        raise Unreachable("The connection was closed before it was secure.") from error
    except ssl.SSLError as error:
        raise TlsFailed(f"There is no secure connection: {error.reason}.") from error
    except (OSError, HTTPException, HTTPError) as error:
        kind = BadAnswer if limits.received else Unreachable
        raise kind(f"The connection broke: {error}"[:300]) from error
