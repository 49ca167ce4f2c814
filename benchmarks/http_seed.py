"""The same tasks for everybody: in taskapi's own tables, and in the rivals'.

One user has 5,000 tasks, 1,250 of each status; one has none yet and makes them; forty have 1,000 each,
and all others share the rest. Rows lie in the order in which they were made, so that nobody's lie together.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import jwt
import sqlalchemy as sa
from flask import Flask

from benchmarks.processes import SECRET
from taskapi.accounts import sign_in
from taskapi.core.db import db, session, transaction
from taskapi.core.runtime import runtime_settings
from tests.people import PASSWORD_HASH

OWNED, OTHERS, OWNED_BY_OTHERS = 5_000, 40, 1_000
PAGE, PER_STATUS = 20, OWNED // 4
# As numbers of users: who has most, who makes tasks, the forty, and the first of all others.
READER, CREATOR, FIRST_OTHER = 1, 2, 3
FIRST_OF_MANY = FIRST_OTHER + OTHERS

NUMBERED = f"""
SELECT n, CASE WHEN n <= {OWNED} THEN {READER}
        WHEN n <= {OWNED + OTHERS * OWNED_BY_OTHERS} THEN {FIRST_OTHER} + n % {OTHERS}
        ELSE {FIRST_OF_MANY} + n % (:users - {FIRST_OF_MANY - 1}) END AS owner,
    CASE WHEN n <= {OWNED} THEN n % 4 ELSE n / {OTHERS} % 4 END AS kind,
    date_trunc('second', now()) - make_interval(secs => (hashint4(n) & 33554431) + 60) AS at,
    'Prepare the invoice ' || n || ' of the month' AS title,
    repeat('What is to be done, by whom and why: ask, note, send. ', 3) || n AS description
FROM generate_series(1, :tasks) AS n ORDER BY at
"""  # noqa: S608 - numbers of this module
OUR_USERS = """
INSERT INTO users (id, email, email_key, username, username_key, password_hash, role, is_active,
    email_verified, timezone, notification_preferences, version, created_at, updated_at)
SELECT uuidv7(), name || '@example.org', name || '@example.org', name, name, :password, 'user', true, true,
    'UTC', '{}', 1, now(), now()
FROM (SELECT 'user' || lpad(n::text, 6, '0') AS name FROM generate_series(1, :users) AS n) AS names
"""
OUR_TASKS = f"""
WITH people AS (SELECT id, row_number() OVER (ORDER BY username) AS place FROM users),
numbered AS ({NUMBERED}),
made AS (
    INSERT INTO tasks (id, title, title_key, description, status, priority, due_date, due_key, notify_overdue,
        creator_id, assignee_id, version, created_at, updated_at, completed_at)
    SELECT uuidv7(at - now()), title, lower(title), description, (ARRAY[1, 2, 3, 5])[kind + 1], 1 + n % 4,
        at + interval '500 days', at + interval '500 days', true, people.id, people.id, 1, at, at,
        CASE WHEN kind = 2 THEN at + interval '1 hour' END
    FROM numbered JOIN people ON people.place = numbered.owner ORDER BY at RETURNING id, title, description
)
INSERT INTO task_words (task_id, words) SELECT id, lower(title || ' ' || description) FROM made
"""  # noqa: S608 - numbers of this module
THEIR_USERS = """
INSERT INTO users (id, username, email, full_name, password, is_active)
SELECT n, 'user' || n, 'user' || n || '@example.org', 'User ' || n, 'unusable', true
FROM generate_series(1, :users) AS n
"""
THEIR_TASKS = f"""
INSERT INTO tasks SELECT gen_random_uuid(), title, description,
    (ARRAY['todo', 'in_progress', 'done', 'cancelled'])[kind + 1],
    (ARRAY['low', 'medium', 'high', 'urgent'])[1 + n % 4], at + interval '500 days', true, owner, owner, NULL,
    NULL, 1, at, at, CASE WHEN kind = 2 THEN at + interval '1 hour' END
FROM ({NUMBERED}) AS numbered
"""  # noqa: S608 - numbers of this module
THEIR_INDEXES = (
    "CREATE INDEX ix_tasks_owner ON tasks (owner_id, created_at DESC, id DESC)",
    "CREATE INDEX ix_tasks_owner_status ON tasks (owner_id, status, created_at DESC, id DESC)",
)

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where a system's tasks are, and who asks.

    Attributes:
        tokens: access tokens of the reader, the creator and the forty, in this order.
        creator: the creator's id, as bodies name an assignee.
        task_ids: some of the reader's tasks.
    """

    url: str
    tokens: list[str]
    creator: str | int
    task_ids: list[str]


def seed_ours(app: Flask, *, users: int, tasks: int) -> Data:
    """Fill taskapi's tables, and sign people in."""
    url = app.extensions["taskapi_settings"].database_url
    numbers: Values = {"users": users, "tasks": tasks}
    _fill(url, ((OUR_USERS, {"users": users, "password": PASSWORD_HASH}), (OUR_TASKS, numbers)))
    with app.app_context(), transaction():
        people = session().scalars(
            sa.text("SELECT id FROM users ORDER BY username LIMIT :number").columns(id=sa.Uuid()),
            {"number": FIRST_OF_MANY - 1},
        )
        ids = list(people)
        pairs = [sign_in.start_session(settings=runtime_settings(), user_id=user) for user in ids]
        tokens = [pair.access_token for pair in pairs]
    with app.app_context():
        db.engine.dispose()
    ids_of_tasks = _task_ids(url, "SELECT id FROM tasks WHERE creator_id = :owner", ids[0])
    return Data(url=url, tokens=tokens, creator=str(ids[1]), task_ids=ids_of_tasks)


def seed_theirs(url: str, *, users: int, tasks: int) -> Data:
    """Fill the rivals' tables; their tokens are what each of them would have signed itself."""
    numbers: Values = {"users": users, "tasks": tasks}
    _fill(url, ((THEIR_USERS, {"users": users}), (THEIR_TASKS, numbers)))
    _fill(url, [(index, {}) for index in THEIR_INDEXES])
    tokens = [_token(number) for number in range(1, FIRST_OF_MANY)]
    task_ids = _task_ids(url, "SELECT id FROM tasks WHERE owner_id = :owner", READER)
    return Data(url=url, tokens=tokens, creator=CREATOR, task_ids=task_ids)


def forget_new(url: str, since: float) -> None:
    """Delete tasks made since then, and leave the table as it was found."""
    statement = sa.text("DELETE FROM tasks WHERE created_at >= to_timestamp(:since)")
    _fill(url, ((statement.text, {"since": since}),))


def _token(number: int) -> str:
    """One that FastAPI's tutorial, simplejwt and flask-jwt-extended all take (RFC 7519)."""
    now = int(time.time())
    claims = {"sub": str(number), "user_id": str(number), "jti": uuid4().hex, "iat": now, "nbf": now}
    kinds = {"type": "access", "token_type": "access", "fresh": False}
    expiry = now + int(timedelta(days=1).total_seconds())
    return jwt.encode({**claims, **kinds, "exp": expiry}, SECRET, algorithm="HS256")


def _fill(url: str, statements: Sequence[tuple[str, Values]]) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        for statement, values in statements:
            connection.execute(sa.text(statement), values)
        connection.exec_driver_sql("VACUUM ANALYZE tasks")


def _task_ids(url: str, statement: str, owner: object) -> list[str]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.execute(sa.text(f"{statement} ORDER BY id LIMIT 500"), {"owner": owner})
        return [str(row[0]) for row in rows]
