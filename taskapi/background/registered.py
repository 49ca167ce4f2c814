"""Which workers have lately said in Redis that they live."""

from redis import Redis
from rq.worker_registration import get_keys

PREFIX = "rq:worker:"


def registered_workers(redis: Redis) -> list[str]:
    """The names of the workers whose registration has not run out."""
    keys = sorted(get_keys(connection=redis))
    # A worker that was killed stays on the list until another looks; its own entry runs out.
    alive = [key for key in keys if redis.exists(key)]
    return [key.removeprefix(PREFIX) for key in alive]
