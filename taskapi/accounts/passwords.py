"""Password hashing with argon2id and the rules for new passwords."""

import base64
import os
import re
import threading
import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from taskapi.core.errors import ValidationFailed

MAX_LENGTH = 128
# As it is typed: letters may be composed of several. What is longer is refused unread, as the form in
# which it is counted takes the square of its length.
MAX_TYPED = MAX_LENGTH * 8
TRAILING_DIGITS_AND_SYMBOLS = re.compile(r"[\W\d_]+$")
SEQUENCES = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes and 1 lane is the floor.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes 19 MiB and a core: many sign-ins at once must not exhaust either.
_slots = threading.BoundedSemaphore(4)


def _hash_of_nothing() -> str:
    """What looks like a hash and fits no password: nothing is hashed for it when a process starts."""
    salt, digest = (
        base64.b64encode(os.urandom(length)).decode().rstrip("=")
        for length in (_hasher.salt_len, _hasher.hash_len)
    )
    costs = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


_dummy_hash = _hash_of_nothing()


def normal_form(password: str) -> str:
    """The password as it is counted and hashed, however a keyboard composes its letters.

    NIST SP 800-63B-4, section 3.1.1.2: NFKC before hashing.
    """
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    with _slots:
        return _hasher.hash(normal_form(password))


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the password fits; without a hash the same work is done and the answer is no."""
    with _slots:
        try:
            return _hasher.verify(password_hash or _dummy_hash, normal_form(password)) and bool(password_hash)
        except (VerificationError, InvalidHashError):
            return False


def check_new_password(
    password: str,
    *,
    minimum: int,
    about_user: tuple[str, ...],
    check_common: bool = True,
    field: str = "password",
) -> None:
    """Refuse a password that is too short, too long, the user's own name, or among the first to be tried.

    Args:
        about_user: the user's names, and the installation's.
        check_common: whether plain and common passwords are refused, too.
        field: where the password stood in the request.

    Raises:
        ValidationFailed: with the reason in words.
    """
    password = normal_form(password) if len(password) <= MAX_TYPED else ""
    folded = password.casefold()
    if not minimum <= len(password) <= MAX_LENGTH:
        reason = f"Use {minimum} to {MAX_LENGTH} characters."
    elif any(len(word) > 3 and normal_form(word).casefold() in folded for word in about_user):
        reason = "The password must not contain your name or e-mail address."
    elif check_common and len(set(password)) < 4:
        reason = "Use at least four different characters."
    elif check_common and _is_common(folded, minimum):
        reason = "This password is among the first that others would try."
    else:
        return
    raise ValidationFailed({field: [reason]})


def _is_common(folded: str, minimum: int) -> bool:
    """Whether a password is known, alone or before digits and symbols, or follows a simple pattern.

    NIST SP 800-63B-4, section 3.1.1.2: a list of passwords that are expected or compromised.
    """
    stem = TRAILING_DIGITS_AND_SYMBOLS.sub("", folded)
    return any(
        text in _common_passwords() or _is_sequence(text) or _is_repetition(text, minimum)
        for text in (folded, stem)
        if text
    )


@cache
def _common_passwords() -> frozenset[str]:
    # Imported when the first password is set: it would make every start slower.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    return frozenset(word.casefold() for word in FREQUENCY_LISTS["passwords"])


def _is_sequence(text: str) -> bool:
    """Whether the text runs along the alphabet, the digits or the keyboard, in either direction."""
    rounds = MAX_LENGTH // 10 + 2
    return len(text) > 3 and any(text in way * rounds for row in SEQUENCES for way in (row, row[::-1]))


def _is_repetition(text: str, minimum: int) -> bool:
    """Whether the text repeats, at least twice, something that is too short by itself."""
    longest = min(minimum - 1, len(text) // 2)
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, longest + 1))
