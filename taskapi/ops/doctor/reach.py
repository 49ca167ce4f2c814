"""The public address: the service answers there, and sees who calls it through the proxies."""

from urllib.parse import urlsplit

from taskapi.clients.http import Answer, Call, CallFailed, TlsFailed, send
from taskapi.config import Settings
from taskapi.core.proxies import read_address
from taskapi.core.runtime import runtime_settings
from taskapi.environment import ALL_NETWORKS
from taskapi.ops.doctor.findings import Finding, fail, ok, warn
from taskapi.ops.doctor.keys import is_for_others
from taskapi.ops.doctor.probe import PROBE, SEEN, Seen, make_probe, read_seen

SECONDS = 8.0
# Of a network that nobody has (RFC 5737): who believes it believes anybody.
FORGED = "192.0.2.77"
HEADERS = "let the proxy in front send X-Forwarded-{} and stand in TRUSTED_PROXIES"


def look_at_public_address() -> Finding:
    """Call PUBLIC_URL as a client that lies about its address."""
    settings = runtime_settings()
    call = Call(
        method="GET",
        url=f"{settings.public_url}/api/health",
        headers={PROBE: make_probe(), "X-Forwarded-For": FORGED},
    )
    try:
        answer = send(call, allowed=ALL_NETWORKS, timeout=SECONDS)
    except CallFailed as error:
        return _unreachable(settings, error)
    return _judge_answer(settings, answer)


def _unreachable(settings: Settings, error: CallFailed) -> Finding:
    detail = f"{settings.public_url} does not answer: {error}"
    if isinstance(error, TlsFailed):
        return fail(detail, "renew the certificate, or have its whole chain served")
    if not is_for_others(settings):
        return warn(detail, "start the web process, or set PUBLIC_URL to where others reach it")
    return fail(detail, "start the web process, or correct PUBLIC_URL, the name's DNS or the proxy")


def _judge_answer(settings: Settings, answer: Answer) -> Finding:
    if answer.status != 200:
        advice = "have the proxy pass all paths on" if answer.status < 500 else "start the web process"
        return fail(f"{settings.public_url}/api/health answers {answer.words}", advice)
    if SEEN not in answer.headers:
        advice = "correct PUBLIC_URL, or give all processes the same SECRET_KEY"
        return fail(f"who answers at {settings.public_url} is not this installation", advice)
    return _judge(settings, read_seen(answer.headers[SEEN]))


def _judge(settings: Settings, seen: Seen) -> Finding:
    passed = [entry.strip() for entry in seen.forwarded_for.split(",")]
    proxied = passed[-1] != FORGED
    if proxied and not _is_trusted(settings, seen.peer):
        advice = f"add {seen.peer} to TRUSTED_PROXIES: now all clients count as one, and share its limits"
        return fail(f"requests come through the proxy {seen.peer}, which is not trusted", advice)
    if seen.client == FORGED and not (proxied and _is_trusted(settings, passed[-1])):
        advice = (
            "take from TRUSTED_PROXIES whatever is no proxy, or have the proxy add its peer to the header"
        )
        return warn("a client may say that it is somebody else", advice)
    return _judge_address(settings, seen, proxied=proxied)


def _judge_address(settings: Settings, seen: Seen, *, proxied: bool) -> Finding:
    wanted = urlsplit(settings.public_url)
    if seen.scheme != wanted.scheme:
        return warn(f"requests by {wanted.scheme} arrive as {seen.scheme}", HEADERS.format("Proto"))
    if seen.host.lower() != wanted.netloc.lower():
        return warn(f"requests to {wanted.netloc} arrive as for {seen.host}", HEADERS.format("Host"))
    way = f"through the proxy {seen.peer}" if proxied else "directly"
    hint = None if is_for_others(settings) else "set PUBLIC_URL if others are to use it"
    return ok(f"{settings.public_url} answers, {way}", hint)


def _is_trusted(settings: Settings, text: str) -> bool:
    address = read_address(text)
    return address is not None and any(address in network for network in settings.trusted_proxies)
