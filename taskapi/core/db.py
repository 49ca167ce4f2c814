"""The database session, and the one way to change data: ``transaction()`` at the edge.

A view, a job or a command opens ``transaction()``; services work inside it and never commit.
Whatever must follow a success (enqueue, wake somebody) goes through ``on_commit``.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.expression import ColumnElement

from taskapi.config import Settings
from taskapi.core import clock
from taskapi.core.columns import UtcDateTime
from taskapi.core.database_clock import DatabaseMoment, DatabaseNow
from taskapi.core.engine import engine_options, prepare_engine
from taskapi.core.errors import DomainError, OutcomeUnknown
from taskapi.core.pool_meters import meter_pool

P = ParamSpec("P")
T = TypeVar("T")


class Base(DeclarativeBase):
    """The base of all models; constraint names are spelled out so that migrations can drop them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class Waiting(Protocol):
    """What a transaction has not said yet, see ``core/together``."""

    connection: sa.Connection

    def say(self, *, at_end: bool) -> None:
        """Say it: before the next statement, or as the last before the commit."""


class TransactionState:
    """What one open transaction still has to do: before it commits, and once it has."""

    def __init__(self) -> None:
        self.hooks: list[partial[object]] = []
        self.last_steps: dict[Callable[[Any], object], set[Any]] = {}
        self.waiting: Waiting | None = None
        # On PostgreSQL, whose clock stands still in a transaction.
        self.now: datetime | None = None

    def say_what_waits(self, *, at_end: bool = False) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.say(at_end=at_end)


_current: ContextVar[TransactionState | None] = ContextVar("taskapi_transaction", default=None)


def init_database(app: Flask, settings: Settings) -> None:
    """Bind the session to the configured database; nothing is connected yet."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings)
    if settings.uses_sqlite:
        database = sa.make_url(settings.database_url).database
        if database and database != ":memory:":
            settings.data_dir.joinpath(database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
        sa.event.listen(db.engine, "before_cursor_execute", _say_what_waits)
        meter_pool(app, db.engine)


def _say_what_waits(connection: sa.Connection | None, *_statement: object) -> None:
    state = _current.get()
    if state is not None and state.waiting is not None and state.waiting.connection is connection:
        state.say_what_waits()


def session() -> Session:
    """The session of the current request, job or command."""
    return db.session()


def dispose_engines() -> None:
    """Forget pooled connections without closing them: call in the child after a fork.

    A connection shared by two processes mixes up their answers (a parent's is left open for it).
    """
    for engine in db.engines.values():
        engine.dispose(close=False)


@contextmanager
def transaction() -> Iterator[Session]:
    """Commit what happens in the block, or roll all of it back when it raises.

    Nested blocks join the outer one. Hooks given to ``on_commit`` run after the commit. An
    error marked ``keep_changes`` commits before it goes on.

    Raises:
        OutcomeUnknown: the connection broke while committing, so nobody knows yet.
    """
    if _current.get() is not None:
        yield db.session()
        return
    active = db.session()
    _begin_write(active)
    state = TransactionState()
    token = _current.set(state)
    kept: DomainError | None = None
    try:
        try:
            yield active
        except DomainError as error:
            if not error.keep_changes:
                raise
            kept = error
        _do_last_steps(state)
        _commit(active, state)
    except BaseException:
        active.rollback()
        raise
    finally:
        _current.reset(token)
    _run_hooks(state)
    if kept is not None:
        raise kept


def _begin_write(active: Session) -> None:
    if active.new or active.dirty or active.deleted:
        raise RuntimeError("objects were changed outside of transaction()")
    # A read may have begun a transaction already; SQLite must take its write lock at the
    # start, and PostgreSQL should see the newest rows.
    active.rollback()
    active.connection(execution_options={"taskapi_writes": True})


def _commit(active: Session, state: TransactionState) -> None:
    active.flush()
    state.say_what_waits(at_end=True)
    try:
        active.commit()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise OutcomeUnknown from error
        raise


def _do_last_steps(state: TransactionState) -> None:
    for step, values in state.last_steps.items():
        step(values)


def _run_hooks(state: TransactionState) -> None:
    # Each hook runs even if an earlier one raised: they belong to data that is committed.
    with ExitStack() as stack:
        for hook in reversed(state.hooks):
            stack.callback(hook)


@contextmanager
def savepoint() -> Iterator[None]:
    """Undo only this block, and forget its hooks, when it raises; the transaction goes on.

    Raises:
        RuntimeError: there is no transaction.
    """
    state = current_transaction()
    kept = len(state.hooks)
    state.say_what_waits()
    try:
        with session().begin_nested():
            yield
            state.say_what_waits()
    except BaseException:
        state.waiting = None
        del state.hooks[kept:]
        raise


def on_commit(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call ``function`` once the surrounding transaction has committed, never if it rolls back.

    Raises:
        RuntimeError: there is no transaction.
        TypeError: an ORM object was passed; it may be stale by then, so pass its id.
    """
    state = current_transaction()
    enclosed = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    for value in (*args, *kwargs.values(), *enclosed):
        if isinstance(value, Base):
            raise TypeError(f"pass the id of {type(value).__name__}, not the object")
    state.hooks.append(partial(function, *args, **kwargs))


def first_on_commit(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """As ``on_commit``, but before what was asked for earlier: nobody hears of the change before it."""
    on_commit(function, *args, **kwargs)
    hooks = current_transaction().hooks
    hooks.insert(0, hooks.pop())


def before_commit(step: Callable[[set[T]], object], value: T) -> None:
    """Have ``step`` called once, just before the commit, with all values that were given for it.

    What many transactions change at once is locked shortly that way, and by all in one order.

    Raises:
        RuntimeError: there is no transaction.
    """
    state = current_transaction()
    state.last_steps.setdefault(step, set()).add(value)


def once_on_commit(function: Callable[[], object]) -> None:
    """As ``on_commit``, but however often it is asked for, ``function`` is called once."""
    state = _current.get()
    if state is None or all(hook.func is not function for hook in state.hooks):
        on_commit(function)


def in_transaction() -> bool:
    return _current.get() is not None


def current_transaction() -> TransactionState:
    """
    Raises:
        RuntimeError: there is none.
    """
    state = _current.get()
    if state is None:
        raise RuntimeError("this needs a transaction()")
    return state


def database_now(plus: float = 0.0) -> ColumnElement[datetime]:
    """The database's clock plus some seconds: leases and due times are judged by it alone.

    Under a virtual clock the value comes from ``clock.now()``.
    """
    if clock.is_virtual():
        return sa.literal(clock.now() + timedelta(seconds=plus), UtcDateTime())
    return DatabaseNow(sa.literal(float(plus), sa.Double())) if plus else DatabaseNow()


def database_moment() -> ColumnElement[datetime]:
    """The database's clock when a statement is done, for who waits until something is due.

    It is no part of a condition: an index would not be used.
    """
    return database_now() if clock.is_virtual() else DatabaseMoment()


def read_database_clock() -> datetime:
    """The time by the database's clock; within a transaction PostgreSQL is asked for it once."""
    state = _current.get()
    if state is not None and state.now is not None:
        return state.now
    now = session().execute(sa.select(database_now())).scalar_one()
    note_database_clock(now)
    return now


def note_database_clock(now: datetime) -> None:
    """The transaction has been told the database's time by another statement."""
    state = _current.get()
    if state is not None and not clock.is_virtual() and db.engine.dialect.name == "postgresql":
        state.now = now
