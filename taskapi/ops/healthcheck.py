"""Whether the processes of one kind live on this machine: what an orchestrator asks, again and again.

It loads no more than it needs, for every container asks twice a minute. The application as a whole is
judged by ``/api/health/ready``; here a process is not blamed for others that are away, unless it cannot
be seen without them.
"""

import socket

from taskapi.config import Settings
from taskapi.ops.welcome import answers_health

CONNECT_SECONDS = 3
# More than readiness allows: one slow round is no reason to replace a process.
SCHEDULER_SILENCE_SECONDS = 30.0


def what_is_wrong(kind: str, settings: Settings) -> str | None:
    """Why no process of this kind (web, worker, scheduler) is well on this machine, or None if one is."""
    return {"web": _check_web, "worker": _check_worker, "scheduler": _check_scheduler}[kind](settings)


def _check_web(settings: Settings) -> str | None:
    if answers_health(settings.host, settings.port):
        return None
    return f"nothing answers GET /health on {settings.host} port {settings.port}"


def _check_worker(settings: Settings) -> str | None:
    from redis.exceptions import RedisError

    from taskapi.background.connection import open_redis
    from taskapi.background.registered import registered_workers

    try:
        with open_redis(settings) as redis:
            alive = registered_workers(redis)
    except RedisError:
        return "Redis does not answer, so no worker can be seen"
    return _find_ours("worker", alive)


def _check_scheduler(settings: Settings) -> str | None:
    import sqlalchemy as sa

    from taskapi.core.columns import UtcDateTime
    from taskapi.core.database_clock import DatabaseNow

    # The table by its name: its model would bring the application with it.
    heartbeats = sa.table(
        "heartbeats", sa.column("name"), sa.column("kind"), sa.column("seen_at", UtcDateTime())
    )
    since = DatabaseNow(sa.literal(-SCHEDULER_SILENCE_SECONDS, sa.Double()))
    alive = sa.select(heartbeats.c.name).where(heartbeats.c.kind == "scheduler", heartbeats.c.seen_at > since)
    limit = {"timeout" if settings.uses_sqlite else "connect_timeout": CONNECT_SECONDS}
    engine = sa.create_engine(settings.database_url, poolclass=sa.NullPool, connect_args=limit)
    try:
        with engine.connect() as connection:
            names = list(connection.scalars(alive))
    except sa.exc.SQLAlchemyError:
        return "the database does not answer, so no scheduler can be seen"
    return _find_ours("scheduler", names)


def _find_ours(kind: str, names: list[str]) -> str | None:
    host = socket.gethostname()
    # As background.process names them.
    if any(name.startswith(f"{kind}-{host}-") for name in names):
        return None
    return f"no {kind} has been heard of on {host}; {len(names)} elsewhere"
