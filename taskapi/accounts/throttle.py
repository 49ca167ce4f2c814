"""How often a password may be guessed for one account.

An attempt is counted before the password is looked at, and a right one takes its count back:
guesses sent at the same moment cannot slip past. The counts live in the database, so that they
hold while Redis is away (OWASP Authentication Cheat Sheet, "Protect Against Automated Attacks").
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts import queries
from taskapi.accounts.errors import TooManyFailures, WrongPassword
from taskapi.accounts.models import SignInFailures
from taskapi.accounts.passwords import verify_password
from taskapi.config import Settings
from taskapi.core.access import Actor
from taskapi.core.db import database_now, in_transaction, session, transaction
from taskapi.core.proxies import network_of
from taskapi.core.upserts import insert_into
from taskapi.environment import Rate

# Looked up for a name that no account has, so that it takes as long.
NOBODY = UUID(int=0)
DAY_SECONDS = 86_400
# What the keys end in whose failures count for a day.
OF_A_DAY = "/day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where a request came from: the peer's IP address and what its program calls itself."""

    address: str | None = None
    user_agent: str | None = None


def key_of(*, user_id: UUID, place: str | UUID | None) -> str:
    """The bucket of an account for a place that its owner is known to use.

    Otherwise a stranger who fails on purpose would lock the owner out.

    Args:
        place: the network of one of the account's sessions, or the id of the caller's session.
    """
    return f"{user_id}@{place}"


def key_of_name(folded: str) -> str:
    """The bucket of a name as it was typed: it does not tell whether, or whose, it is."""
    return hashlib.sha256(folded.encode()).hexdigest()


def key_of_codes(key: str, user_id: UUID) -> str:
    """The bucket of codes of a second factor, for whom ``key`` counts at sign-in.

    By the account and no name: who knows the password learns nothing by that, and has one bucket.
    """
    return key if key.startswith(f"{user_id}@") else key_of(user_id=user_id, place="codes")


def key_of_sign_in(*, login: str, user_id: UUID | None, device: Device) -> str:
    """The bucket that counts a sign-in, by password or second factor, from this device.

    Args:
        user_id: None for a name that no account has: it is counted and refused as any other.
    """
    # Read for names that nobody has, too, so that it takes as long.
    used = {network_of(address) for address in queries.addresses_of(user_id or NOBODY)}
    network = network_of(device.address)
    if user_id is not None and network and network in used:
        return key_of(user_id=user_id, place=network)
    return key_of_name(queries.fold(login))


@contextmanager
def counted_attempt(*, settings: Settings, key: str, each_day: int | None = None) -> Iterator[int]:
    """Count a failure beforehand and take it back unless the block raises; which of its window it is.

    Both are transactions of their own: call it outside of one.

    Args:
        each_day: so many a day, in place of those that RATE_LIMIT_ACCOUNT allows, if that is not off.

    Raises:
        TooManyFailures: they are used up; the block is not entered.
        RuntimeError: inside a transaction, whose rollback would forget the failure.
    """
    rate = settings.rate_limit_account
    if rate and each_day:
        key, rate = f"{key}{OF_A_DAY}", Rate(each_day, DAY_SECONDS)
    if rate is None:
        yield 0
        return
    if in_transaction():
        raise RuntimeError("a failure must be counted outside of the transaction that it ends")
    with transaction():
        since, count = _count(key, rate)
    yield count
    with transaction():
        _take_back(key, since)


def require_password(*, settings: Settings, actor: Actor, password: str) -> None:
    """Make sure that the caller, who is signed in, knows the password of their account.

    Call it outside of a transaction: hashing is slow on purpose, and SQLite has one writer.

    Raises:
        WrongPassword: it counts as a failed sign-in.
        TooManyFailures
    """
    password_hash = queries.password_hash_of(actor.user_id)
    key = key_of(user_id=actor.user_id, place=actor.session_id)
    with counted_attempt(settings=settings, key=key):
        if not verify_password(password, password_hash):
            raise WrongPassword


def forget_failures(user_id: UUID) -> None:
    """Let everybody try again at once, by either name, as after a reset of the password."""
    names = queries.name_keys_of(user_id)
    by_name = SignInFailures.key.in_([key_of_name(name) for name in names])
    mine = sa.or_(SignInFailures.key.startswith(f"{user_id}@"), by_name)
    session().execute(sa.delete(SignInFailures).where(mine).execution_options(synchronize_session=False))


def forget_old_failures(*, settings: Settings) -> None:
    """Remove counts whose window is over."""
    rate = settings.rate_limit_account
    of_a_day = SignInFailures.key.endswith(OF_A_DAY)
    over = SignInFailures.since <= database_now(-rate.seconds if rate else 0.0)
    over = sa.or_(sa.and_(over, ~of_a_day), SignInFailures.since <= database_now(-DAY_SECONDS))
    session().execute(sa.delete(SignInFailures).where(over).execution_options(synchronize_session=False))


def _count(key: str, rate: Rate) -> tuple[datetime, int]:
    """One more in the window, which begins anew when it is over; when it began, and how many there are."""
    over = SignInFailures.since <= database_now(-rate.seconds)
    # One statement: of two attempts at the same moment each sees the other's count.
    statement = (
        insert_into(SignInFailures)
        .values(key=key, count=1, since=database_now())
        .on_conflict_do_update(
            index_elements=[SignInFailures.key],
            set_={
                "count": sa.case((over, 1), else_=SignInFailures.count + 1),
                "since": sa.case((over, database_now()), else_=SignInFailures.since),
            },
            where=sa.or_(over, SignInFailures.count < rate.amount),
        )
        .returning(SignInFailures.since, SignInFailures.count)
    )
    counted = session().execute(statement).one_or_none()
    if counted is None:
        raise TooManyFailures(_seconds_left(key, rate))
    return counted.since, counted[1]


def _seconds_left(key: str, rate: Rate) -> int:
    row = session().execute(
        sa.select(SignInFailures.since, database_now().label("now")).where(SignInFailures.key == key)
    )
    found = row.one_or_none()
    if found is None:
        return 1
    left: timedelta = found.since + timedelta(seconds=rate.seconds) - found.now
    return max(1, math.ceil(left.total_seconds()))


def _take_back(key: str, since: datetime) -> None:
    same_window = (SignInFailures.key == key, SignInFailures.since == since, SignInFailures.count > 0)
    session().execute(
        sa.update(SignInFailures)
        .where(*same_window)
        .values(count=SignInFailures.count - 1)
        .execution_options(synchronize_session=False)
    )
