"""Which workers have lately said in Redis that they live."""

from redis import Redis
from rq.worker_registration import REDIS_WORKER_KEYS, get_keys

from taskapi.background.names import Queue
from taskapi.background.scripts import Script

PREFIX = "rq:worker:"
# Whether any lives that serves a queue, and not another.
APART = Script("""
for _, worker in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local queues = ',' .. (redis.call('HGET', worker, 'queues') or '') .. ','
  if string.find(queues, ARGV[1], 1, true) and not string.find(queues, ARGV[2], 1, true) then return 1 end
end
return 0
""")


def registered_workers(redis: Redis) -> list[str]:
    """The names of the workers whose registration has not run out."""
    keys = sorted(get_keys(connection=redis))
    # A worker that was killed stays on the list until another looks; its own entry runs out.
    alive = [key for key in keys if redis.exists(key)]
    return [key.removeprefix(PREFIX) for key in alive]


def has_threads_for_runs(redis: Redis) -> bool:
    """Whether a worker lives that has threads for runs which only wait.

    An older one knows nothing of their queues, and one without threads does them among the others.
    """
    return bool(APART.run(redis, [REDIS_WORKER_KEYS], f",{Queue.CALLS},", f",{Queue.RUNS},"))
