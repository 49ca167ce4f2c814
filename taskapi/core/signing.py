"""What the installation signs, seals and derives with ``SECRET_KEY``.

The current key does new work; what a key of ``SECRET_KEY_FALLBACKS`` signed or sealed is still
read, so that keys can be changed without signing everybody out.
"""

import base64
import hmac
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import URLSafeSerializer

from taskapi.core.runtime import runtime_settings

MARK_BYTES = 16


class SealBroken(ValueError):
    """No key of this installation opens the text: it was altered, or its key is gone."""


def all_keys() -> tuple[str, ...]:
    """The current key, then former ones."""
    settings = runtime_settings()
    return (settings.secret_key, *settings.secret_key_fallbacks)


def serializer(salt: str) -> URLSafeSerializer:
    """Signs values into URL-safe text; ``salt`` keeps texts for different uses apart."""
    return _serializer(all_keys(), salt)


@lru_cache(maxsize=100)
def _serializer(keys: tuple[str, ...], salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(list(reversed(keys)), salt=salt)


def sign(content: bytes, purpose: str) -> str:
    """The content with a mark in front that only this installation can make, as base64url without padding.

    Keyed BLAKE2b (RFC 7693, section 2.9) of 128 bits, for what is made again and again: it takes a
    tenth of what ``serializer`` does.
    """
    return _base64(_mark(content, all_keys()[0], purpose) + content).rstrip("=")


def signed_content(text: str, purpose: str) -> bytes:
    """What ``sign`` was given.

    Raises:
        SealBroken: no key of this installation has signed it for this.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise SealBroken("this is no base64url") from error
    mark, content = data[:MARK_BYTES], data[MARK_BYTES:]
    if not any(hmac.compare_digest(mark, _mark(content, key, purpose)) for key in all_keys()):
        raise SealBroken("no key has signed this")
    return content


def _mark(content: bytes, key: str, purpose: str) -> bytes:
    derived = _derived_key(key, f"taskapi.sign.{purpose}")
    return blake2b(content, key=derived, digest_size=MARK_BYTES).digest()


@lru_cache(maxsize=100)
def _derived_key(key: str, label: str) -> bytes:
    return hmac.digest(key.encode(), label.encode(), "sha256")


def derived_secrets(purpose: str, identifier: UUID) -> Iterator[str]:
    """The secret that belongs to an id, by the current key and then by each former one.

    HMAC-SHA256, 43 characters of base64url. Nothing has to be stored to know it again, and
    who reads the database alone cannot make it.
    """
    message = f"{purpose}:{identifier}".encode()
    for key in all_keys():
        yield _base64(hmac.digest(key.encode(), message, "sha256")).rstrip("=")


def keyed_digests(purpose: str, content: bytes) -> list[str]:
    """By which a content is known again, by the current key and by each former one (HMAC-SHA256).

    Who reads the database alone cannot try out what the content may be, such as a password in it.
    """
    message = f"{purpose}:".encode() + content
    return [hmac.digest(key.encode(), message, "sha256").hex() for key in all_keys()]


def seal(text: str, purpose: str) -> str:
    """Encrypt a text that must be read again later (Fernet: AES-128-CBC and HMAC-SHA256)."""
    return _fernet(purpose).encrypt(text.encode()).decode()


def unseal(sealed: str, purpose: str) -> str:
    """
    Raises:
        SealBroken
    """
    try:
        return _fernet(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealBroken("the text cannot be unsealed: was SECRET_KEY changed?") from error


def _fernet(purpose: str) -> MultiFernet:
    label = f"taskapi.seal.{purpose}"
    return MultiFernet([Fernet(_base64(_derived_key(key, label))) for key in all_keys()])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
