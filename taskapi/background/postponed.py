"""Jobs that RQ puts off (``enqueue_in``, ``Retry(interval=…)``): queued when their time has come.

In RQ a scheduler beside one of the workers does so, under a lock that outlives it for a minute. Here each
worker looks, and one script moves what is due: however many look, a job is queued once.
"""

import time

from redis import Redis
from rq.job import JobStatus
from rq.registry import ScheduledJobRegistry
from rq.utils import now

from taskapi.background.names import Queue
from taskapi.background.rq_json import JsonJob, JsonQueue, write_moment
from taskapi.background.scripts import Script

# Of each queue at a time: a script holds up everybody.
MOST = 500
# Of each queue where its jobs wait for their time, and the queue itself.
KEYS = [
    key
    for queue in Queue
    for key in (
        ScheduledJobRegistry.key_template.format(queue.value),
        f"{JsonQueue.redis_queue_namespace_prefix}{queue.value}",
    )
]

MOVE = Script("""
local prefix, stamp, now, queued, most = unpack(ARGV)
local moved = 0
for place = 1, #KEYS, 2 do
  local waiting, queue = KEYS[place], KEYS[place + 1]
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, 0, stamp, 'LIMIT', 0, most)) do
    local job = prefix .. id
    redis.call('ZREM', waiting, id)
    if redis.call('EXISTS', job) == 1 then
      local first, first_again, ended = unpack(
        redis.call('HMGET', job, 'enqueue_at_front', 'enqueue_at_front_on_retry', 'ended_at'))
      local ahead = first == '1' or (first_again == '1' and ended and ended ~= '')
      redis.call('HSET', job, 'status', queued, 'enqueued_at', now)
      redis.call(ahead and 'LPUSH' or 'RPUSH', queue, id)
      moved = moved + 1
    end
  end
end
return moved
""")


def queue_postponed(redis: Redis) -> int:
    """Queue the jobs whose time has come; how many.

    Raises:
        RedisError
    """
    shared = (time.time(), write_moment(now()), JobStatus.QUEUED.value, MOST)
    moved: int = MOVE.run(redis, KEYS, JsonJob.redis_job_namespace_prefix, *shared)
    return moved
