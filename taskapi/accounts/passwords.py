"""Password hashing with argon2id and the rules for new passwords."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from taskapi.core.errors import ValidationFailed

MAX_LENGTH = 128
# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes and 1 lane is the floor.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each hash takes 19 MiB and a core: many sign-ins at once must not exhaust either.
_slots = threading.BoundedSemaphore(4)
_dummy_hash = _hasher.hash("no account has this password")


def hash_password(password: str) -> str:
    with _slots:
        return _hasher.hash(password)


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the password fits; without a hash the same work is done and the answer is no."""
    with _slots:
        try:
            return _hasher.verify(password_hash or _dummy_hash, password) and bool(password_hash)
        except (VerificationError, InvalidHashError):
            return False


def check_new_password(password: str, *, minimum: int, about_user: tuple[str, ...]) -> None:
    """Refuse a password that is too short, too long, too plain or the user's own name.

    Raises:
        ValidationFailed: with the reason in words.
    """
    folded = password.casefold()
    if not minimum <= len(password) <= MAX_LENGTH:
        reason = f"Use {minimum} to {MAX_LENGTH} characters."
    elif len(set(password)) < 4:
        reason = "Use at least four different characters."
    elif any(len(word) > 3 and word.casefold() in folded for word in about_user):
        reason = "The password must not contain your name or e-mail address."
    else:
        return
    raise ValidationFailed({"password": [reason]})
