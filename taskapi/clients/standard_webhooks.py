"""Standard Webhooks 1.0 (standardwebhooks.com), symmetric: how a receiver knows who called, and what."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence

from taskapi.core import clock

ENCODED_SECRET = "whsec_"  # noqa: S105 - the mark of an encoded one
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret that nobody can guess, in the encoding of the standard."""
    return ENCODED_SECRET + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature_headers(signing_secrets: Sequence[str], message_id: str, body: bytes) -> dict[str, str]:
    """The headers that sign a call, now, with each of the secrets: a receiver needs to know one.

    Raises:
        binascii.Error: see ``signing_key``.
    """
    timestamp = str(int(clock.now().timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in signing_secrets),
    }


def signing_key(secret: str) -> bytes:
    """The key that a secret stands for: what follows ``whsec_`` is base64, other text is the key itself.

    Raises:
        binascii.Error: it is not base64, or empty.
    """
    if not secret.startswith(ENCODED_SECRET):
        return secret.encode()
    key = base64.b64decode(secret.removeprefix(ENCODED_SECRET), validate=True)
    if not key:
        raise binascii.Error("empty")
    return key


def _sign(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(signing_key(secret), signed, "sha256")).decode()
