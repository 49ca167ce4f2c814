"""Reads and conditional changes of second factors and recovery codes."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from taskapi.accounts.models import RecoveryCode, SecondFactor
from taskapi.core.db import session


def find_factor(user_id: UUID) -> SecondFactor | None:
    """The user's factor, also one that was begun and not confirmed yet."""
    return session().scalar(sa.select(SecondFactor).where(SecondFactor.user_id == user_id))


def lock_enabled_factor(user_id: UUID) -> SecondFactor | None:
    """The factor that is asked for at sign-in, locked until the transaction ends."""
    statement = (
        sa.select(SecondFactor)
        .where(SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None))
        .with_for_update()
    )
    return session().scalar(statement.execution_options(populate_existing=True))


def is_enabled(user_id: UUID) -> bool:
    enabled = sa.exists().where(SecondFactor.user_id == user_id, SecondFactor.confirmed_at.is_not(None))
    return session().scalar(sa.select(enabled)) is True


def take_step(factor: SecondFactor, *, step: int, sealed_again: str) -> bool:
    """Use up a time step, unless it or a later one was used; whoever changes the row has it."""
    statement = (
        sa.update(SecondFactor)
        .where(
            SecondFactor.user_id == factor.user_id,
            SecondFactor.confirmed_at.is_not(None),
            # Not another secret that was set since this one was read.
            SecondFactor.created_at == factor.created_at,
            sa.or_(SecondFactor.last_step.is_(None), SecondFactor.last_step < step),
        )
        .values(last_step=step, sealed_secret=sealed_again)
        .returning(SecondFactor.user_id)
        .execution_options(synchronize_session=False)
    )
    return session().execute(statement).one_or_none() is not None


def take_recovery_code(user_id: UUID, code_hash: str, *, at: datetime) -> bool:
    """Use up a code, unless it was used; whoever changes the row has it."""
    statement = (
        sa.update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == code_hash,
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=at)
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    )
    return session().execute(statement).one_or_none() is not None


def count_unused_codes(user_id: UUID) -> int:
    unused = sa.select(sa.func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return session().scalar(unused) or 0


def replace_codes(user_id: UUID, code_hashes: Iterable[str]) -> None:
    """These codes instead of all that the user had."""
    session().execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session().add_all(RecoveryCode(user_id=user_id, code_hash=code_hash) for code_hash in code_hashes)
    session().flush()


def delete_factor(user_id: UUID) -> None:
    """Remove the factor and its recovery codes."""
    session().execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    session().execute(sa.delete(SecondFactor).where(SecondFactor.user_id == user_id))
