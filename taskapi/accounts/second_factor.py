"""The second factor of signing in: codes of an authenticator app, and recovery codes.

The codes are those of RFC 6238 as every such app knows them: SHA-1, 30 seconds, six digits. One
step before and after the current one is taken as well, for clocks that go wrong (5.2 and 6), and no
step is taken twice. The secret is sealed with the installation's key; recovery codes are hashed.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import pyotp
import structlog
from pyotp.exceptions import OTPVerificationError

from taskapi.accounts import queries
from taskapi.accounts import second_factor_queries as factors
from taskapi.accounts.errors import (
    InvalidSecondFactor,
    SecondFactorEnabled,
    SecondFactorNotEnabled,
    SecondFactorRequired,
    UserNotFound,
    WrongCode,
)
from taskapi.accounts.models import SecondFactor
from taskapi.accounts.throttle import counted_attempt, forget_failures, key_of, key_of_codes
from taskapi.accounts.tokens import hash_token
from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.access import Actor
from taskapi.core.db import session, transaction
from taskapi.core.events import record_event
from taskapi.core.signing import SealBroken, seal, unseal

log = structlog.get_logger(__name__)

SEAL = "totp"
STEPS_OF_DRIFT = 1
TOTP_CODE = re.compile(r"[0-9]{6}")
# People type codes in groups, and copying turns a hyphen into another dash.
BLANKS_AND_DASHES = re.compile(r"[\s\u002d\u2010-\u2015\u2212]")
RECOVERY_CODES = 10
# Wrong ones, of who knows the password: of a million codes three are good at a time.
CODES_A_DAY = 50
# After so many the owner is told: one mistypes one or two.
TOLD_AT = 3
# No letter or digit that is taken for another; fifteen of them hold 74 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, LETTERS_OF_A_GROUP = 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What an authenticator app needs: the secret (base32), and the same as an otpauth URI."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """Codes that are shown this once."""

    recovery_codes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorState:
    """What a user may know of their factor later."""

    enabled: bool
    confirmed_at: datetime | None
    recovery_codes_left: int


def state_of(*, user_id: UUID) -> SecondFactorState:
    """Whether a code is asked for at sign-in, since when, and how many recovery codes are unused."""
    factor = factors.find_factor(user_id)
    confirmed_at = factor.confirmed_at if factor else None
    return SecondFactorState(
        enabled=confirmed_at is not None,
        confirmed_at=confirmed_at,
        recovery_codes_left=factors.count_unused_codes(user_id),
    )


def begin(*, settings: Settings, actor: Actor) -> Enrolment:
    """Make a secret for the caller's app; it is asked for at sign-in once it is confirmed.

    Beginning again before that replaces the secret.

    Raises:
        SecondFactorEnabled, UserNotFound
    """
    user = queries.lock_user(actor.user_id)
    if user is None:
        raise UserNotFound
    factor = factors.find_factor(user.id) or SecondFactor(user_id=user.id)
    if factor.confirmed_at is not None:
        raise SecondFactorEnabled
    secret = pyotp.random_base32()
    factor.sealed_secret, factor.created_at = seal(secret, SEAL), clock.now()
    session().add(factor)
    session().flush()
    _record("user.second_factor_begun", user.id, actor)
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=settings.app_name)
    return Enrolment(secret=secret, uri=uri)


def confirm(*, actor: Actor, code: str) -> RecoveryCodes:
    """Enable the factor that was begun: the code shows that the app knows the secret.

    Call it within ``counted_codes()``.

    Raises:
        SecondFactorNotEnabled: none was begun.
        SecondFactorEnabled, WrongCode, UserNotFound
    """
    if queries.lock_user(actor.user_id) is None:
        raise UserNotFound
    factor = factors.find_factor(actor.user_id)
    if factor is None:
        raise SecondFactorNotEnabled("Begin a second factor first.")
    if factor.confirmed_at is not None:
        raise SecondFactorEnabled
    step = _step_of(_secret_of(factor), _plain(code))
    if step is None:
        raise WrongCode
    # The code that confirms is used up: it does not sign in as well.
    factor.confirmed_at, factor.last_step = clock.now(), step
    session().flush()
    _record("user.second_factor_enabled", actor.user_id, actor)
    return _new_recovery_codes(actor.user_id)


def renew_recovery_codes(*, actor: Actor) -> RecoveryCodes:
    """Ten new recovery codes; those before stop working.

    Raises:
        SecondFactorNotEnabled
    """
    if factors.lock_enabled_factor(actor.user_id) is None:
        raise SecondFactorNotEnabled
    _record("user.recovery_codes_renewed", actor.user_id, actor)
    return _new_recovery_codes(actor.user_id)


def remove(*, actor: Actor, code: str) -> None:
    """Switch the caller's factor off, for a code of the app or a recovery code.

    Call it within ``counted_codes()``.

    Raises:
        SecondFactorNotEnabled, WrongCode
    """
    if factors.lock_enabled_factor(actor.user_id) is None:
        raise SecondFactorNotEnabled
    if not _take_code(actor.user_id, code):
        raise WrongCode
    remove_factor(user_id=actor.user_id, actor=actor)


def remove_factor(*, user_id: UUID, actor: Actor | None = None) -> None:
    """Switch a user's factor off without a code, as for somebody who lost their phone.

    Raises:
        SecondFactorNotEnabled
    """
    if factors.lock_enabled_factor(user_id) is None:
        raise SecondFactorNotEnabled("This account has no second factor.")
    factors.delete_factor(user_id)
    # Somebody else may have used them up; they were of this factor.
    forget_failures(user_id)
    _record("user.second_factor_disabled", user_id, actor)


def counted_codes(*, settings: Settings, actor: Actor) -> AbstractContextManager[int]:
    """Count a wrong code of somebody who is signed in as a wrong password of theirs is counted, and by day.

    Raises:
        TooManyFailures
    """
    return _counted(settings, key_of(user_id=actor.user_id, place=actor.session_id))


@contextmanager
def _counted(settings: Settings, key: str) -> Iterator[int]:
    """Count a wrong code as any failure, and by day; which of its day it would be."""
    by_day = counted_attempt(settings=settings, key=key, each_day=CODES_A_DAY)
    with counted_attempt(settings=settings, key=key), by_day as number:
        yield number


def require_code(*, settings: Settings, user_id: UUID, code: str | None, key: str) -> None:
    """Ask whoever signs in, and knew the password, for the second factor if the account has one.

    Call it outside of a transaction: a wrong code stays counted, and a right one stays used.

    Args:
        key: the bucket in which failures to sign in are counted from this device.

    Raises:
        SecondFactorRequired: there is none; it does not count as a failure.
        InvalidSecondFactor: it is wrong, or was used before.
        TooManyFailures
    """
    if not factors.is_enabled(user_id):
        return
    if code is None or not _plain(code):
        raise SecondFactorRequired
    with _counted(settings, key_of_codes(key, user_id)) as number:
        with transaction():
            is_right = _take_code(user_id, code)
        if is_right:
            return
        if number == TOLD_AT:
            # Once a day: somebody knows the password, and perhaps does not have the app.
            with transaction():
                _record("user.second_factor_refused", user_id, None, after={"wrong_codes": number})
        raise InvalidSecondFactor


def _take_code(user_id: UUID, code: str) -> bool:
    """Whether it is a good code of this user, which is used up by that."""
    plain = _plain(code)
    if TOTP_CODE.fullmatch(plain):
        return _take_totp_code(user_id, plain)
    # Found by its hash: the time tells nothing of a code that is random.
    if not factors.take_recovery_code(user_id, hash_token(plain), at=clock.now()):
        return False
    left = factors.count_unused_codes(user_id)
    _record("user.recovery_code_used", user_id, user_id, after={"recovery_codes_left": left})
    return True


def _take_totp_code(user_id: UUID, code: str) -> bool:
    factor = factors.find_factor(user_id)
    secret = _secret_of(factor) if factor else None
    step = _step_of(secret, code)
    if factor is None or secret is None or step is None:
        return False
    # Sealed again by the current key, so that a former one can be dropped in time.
    return factors.take_step(factor, step=step, sealed_again=seal(secret, SEAL))


def _secret_of(factor: SecondFactor) -> str | None:
    try:
        return unseal(factor.sealed_secret, SEAL)
    except SealBroken as error:
        log.error("second_factor.unreadable", owner=str(factor.user_id), error=str(error))
        return None


def _step_of(secret: str | None, code: str) -> int | None:
    """The time step whose code this is, compared in constant time; None for a wrong one."""
    if secret is None:
        return None
    try:
        totp = pyotp.TOTP(secret)
        return totp.verify_and_get_timecode(code, for_time=clock.now(), valid_window=STEPS_OF_DRIFT)
    except OTPVerificationError:
        return None


def _plain(code: str) -> str:
    return BLANKS_AND_DASHES.sub("", code).lower()


def _new_recovery_codes(user_id: UUID) -> RecoveryCodes:
    codes = ["-".join(_group() for _ in range(GROUPS)) for _ in range(RECOVERY_CODES)]
    factors.replace_codes(user_id, [hash_token(_plain(code)) for code in codes])
    return RecoveryCodes(recovery_codes=codes)


def _group() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LETTERS_OF_A_GROUP))


def _record(
    event_type: str, user_id: UUID, actor: Actor | UUID | None, after: dict[str, int] | None = None
) -> None:
    record_event(event_type, subject=("user", user_id), actor=actor, owner_id=user_id, after=after)
