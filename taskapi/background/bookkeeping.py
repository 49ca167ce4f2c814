"""RQ's books about a job, kept in one round trip: the end of one and the start of the next.

RQ asks Redis some fifteen times for what happens here in a script. What is written is what RQ writes, so
its registries, `rq info` and its dashboard stay true. The entry of the started registry is what entitles a
worker to tell how a job ended: without it, it was given up for dead meanwhile, and says nothing any more.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from secrets import token_hex
from typing import Any

from redis import Redis
from rq.defaults import DEFAULT_RESULT_TTL
from rq.executions import Execution
from rq.job import JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import as_text, now

from taskapi.background.rq_json import HeldJob, write_moment
from taskapi.background.scripts import Line, Script

# As RQ: a job whose worker was not heard of for so long is given up by whoever looks next.
PATIENCE_SECONDS = 90
# What a job may ask for that only RQ's own way does.
FIELDS_OF_MORE = (
    b"success_callback_name",
    b"failure_callback_name",
    b"stopped_callback_name",
    b"webhooks",
    b"retries_left",
    b"repeats_left",
    b"dependency_ids",
    b"group_id",
)

STEP = Script("""
local worker, suspended = KEYS[1], KEYS[2]
local name, execution, now, stamp, patience, wanted = unpack(ARGV, 1, 6)
local past, past_execution, past_queue, keep, seconds = unpack(ARGV, 7, 11)
local birth, current, id, count, total = unpack(redis.call('HMGET', worker,
  'birth', 'current_execution', 'current_job', 'successful_job_count', 'total_working_time'))

-- Asked twice, as the first answer got lost: it stands.
if id and current == execution then
  local queue = redis.call('HGET', worker, 'current_queue')
  return {birth and 1 or 0, id, queue, redis.call('HGETALL', 'rq:job:' .. id)}
end

if past ~= '' then
  local job, results = 'rq:job:' .. past, 'rq:results:' .. past
  local entry = past .. ':' .. past_execution
  if redis.call('EXISTS', job .. ':dependents') == 1 then return {1, 'dependents'} end
  if redis.call('ZREM', 'rq:wip:' .. past_queue, entry) == 1 then
    -- Should it be done elsewhere too, that comes back with its next sign of life.
    redis.call('DEL', 'rq:execution:' .. entry, 'rq:executions:' .. past)
    count, total = (count or 0) + 1, (total or 0) + seconds
    -- Queued once more meanwhile, it is to be found as it was put there.
    if redis.call('HGET', job, 'status') ~= 'started' then
    elseif keep == '0' then
      redis.call('DEL', job, results)
    else
      redis.call('HSET', job, 'status', 'finished', 'ended_at', now, 'last_heartbeat', now)
      redis.call('XADD', results, 'MAXLEN', '~', '10', '*', unpack(ARGV, 12))
      if tonumber(keep) > 0 then
        redis.call('EXPIRE', job, keep)
        redis.call('EXPIRE', results, keep)
        redis.call('ZADD', 'rq:finished:' .. past_queue, stamp + keep, past)
      else
        redis.call('PERSIST', results)
        redis.call('ZADD', 'rq:finished:' .. past_queue, '+inf', past)
      end
    end
  end
end

-- Of the worker is noted what it does now, and what it did so far.
local function note(...)
  redis.call('HSET', worker, 'last_heartbeat', now, 'successful_job_count', count or 0,
    'total_working_time', total or 0, ...)
  -- Redis was emptied: until the worker registers again nobody else sees to its end.
  if not birth then redis.call('EXPIRE', worker, patience) end
end

local function start(id, queue)
  local job, entry = 'rq:job:' .. id, id .. ':' .. execution
  redis.call('HSET', job, 'status', 'started', 'started_at', now, 'last_heartbeat', now, 'worker_name', name)
  redis.call('PERSIST', job)
  redis.call('HSET', 'rq:execution:' .. entry, 'id', execution, 'created_at', stamp,
    'last_heartbeat', stamp, 'worker_name', name)
  redis.call('EXPIRE', 'rq:execution:' .. entry, patience)
  redis.call('ZADD', 'rq:executions:' .. id, stamp + patience + 60, execution)
  redis.call('EXPIRE', 'rq:executions:' .. id, patience + 60)
  redis.call('ZADD', 'rq:wip:' .. queue, stamp + patience, entry)
  note('state', 'busy', 'current_job', id, 'current_execution', execution, 'current_queue', queue,
    'current_job_working_time', 0)
end

local function origin(fields, key)
  for place = 1, #fields, 2 do
    if fields[place] == 'origin' and fields[place + 1] ~= '' then return fields[place + 1] end
  end
  return string.sub(key, 10)
end

local state = 'idle'
if wanted == '1' and redis.call('EXISTS', suspended) == 1 then
  wanted, state = '0', 'suspended'
end
for position = 3, wanted == '1' and #KEYS or 0 do
  local id = redis.call('LPOP', KEYS[position])
  while id do
    local fields = redis.call('HGETALL', 'rq:job:' .. id)
    if #fields > 0 then
      local queue = origin(fields, KEYS[position])
      start(id, queue)
      return {birth and 1 or 0, id, queue, fields}
    end
    id = redis.call('LPOP', KEYS[position])
  end
end
-- Of jobs that are over the names are left until somebody takes them away; RQ does so each ten minutes.
for position = 3, #KEYS do
  redis.call('ZREMRANGEBYSCORE', 'rq:finished:' .. string.sub(KEYS[position], 10), '-inf', '(' .. stamp)
end
redis.call('HDEL', worker, 'current_job', 'current_execution', 'current_queue')
note('state', state)
return {birth and 1 or 0, state}
""")

BEAT = Script("""
local worker, stamp, now, patience = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local id, execution, queue = unpack(
  redis.call('HMGET', worker, 'current_job', 'current_execution', 'current_queue'))
if not id or not execution then return 0 end
local entry = id .. ':' .. execution
if redis.call('ZADD', 'rq:wip:' .. queue, 'XX', 'CH', stamp + patience, entry) == 0 then return 0 end
redis.call('HSET', 'rq:job:' .. id, 'last_heartbeat', now)
redis.call('HSET', 'rq:execution:' .. entry, 'last_heartbeat', stamp)
redis.call('EXPIRE', 'rq:execution:' .. entry, patience)
redis.call('ZADD', 'rq:executions:' .. id, stamp + patience + 60, execution)
redis.call('EXPIRE', 'rq:executions:' .. id, patience + 60)
return 1
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A job in progress.

    Attributes:
        queue: what its registries are named by.
        wants_more: that only RQ's own way of doing and finishing it will do.
    """

    job: HeldJob
    execution: Execution
    queue: str
    wants_more: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A job that ended well, not yet told to Redis."""

    taken: Taken
    value: Any
    ended_at: datetime


class Nothing(Enum):
    """Why there is no job."""

    IDLE = auto()
    SUSPENDED = auto()
    # The one that ended has dependents, which the books know nothing of: it is as it was.
    DEPENDENTS = auto()


class Books:
    """The books of one worker in Redis."""

    def __init__(self, redis: Redis, *, worker_key: str, name: str, queue_keys: list[str]) -> None:
        self._keys = [worker_key, WORKERS_SUSPENDED, *queue_keys]
        self._name = name
        self._redis = redis
        self._line = Line(redis)
        # So that a call whose answer got lost can be repeated, by the client too, each has an id.
        self._next_execution = token_hex(16)
        self.is_forgotten = False

    def step(self, done: Done | None, *, wanted: bool) -> Taken | Nothing:
        """Enter the end of a job and take the next one, if one is ``wanted``.

        Whether Redis had forgotten the worker is told by ``is_forgotten``.

        Raises:
            RedisError: nothing is known; the same call may be made again.
        """
        moment = now()
        stamp = moment.timestamp()
        head: list[Any] = [
            self._name,
            self._next_execution,
            write_moment(moment),
            stamp,
            PATIENCE_SECONDS,
            int(wanted),
        ]
        known, what, *found = STEP.run(self._line, self._keys, *head, *_ending(done))
        self.is_forgotten = not known
        if not found:
            return Nothing[what.decode().upper()]
        execution = Execution(self._next_execution, what.decode(), self._redis, self._name)
        self._next_execution = token_hex(16)
        return self._taken(execution, *found)

    def beat(self) -> None:
        """Tell that the job in progress, if there is one, is still worked on."""
        moment = now()
        # The worker tells so for all its hands, which need no connection each for it.
        BEAT.run(self._redis, self._keys[:1], moment.timestamp(), write_moment(moment), PATIENCE_SECONDS)

    def _taken(self, execution: Execution, queue: bytes, flat: list[bytes]) -> Taken:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        job = HeldJob(execution.job_id, self._redis)
        job.restore(fields)
        job._status, job.worker_name, job.started_at = JobStatus.STARTED, self._name, execution.created_at
        return Taken(job, execution, queue.decode(), any(fields.get(name) for name in FIELDS_OF_MORE))


def _ending(done: Done | None) -> list[Any]:
    if done is None:
        return ["", "", "", "", ""]
    job, execution = done.taken.job, done.taken.execution
    seconds = (done.ended_at - execution.created_at).total_seconds()
    keep = job.get_result_ttl(DEFAULT_RESULT_TTL)
    fields = _nothing(done) if done.value is None else _result(done)
    return [job.id, execution.id, done.taken.queue, keep, seconds, *fields]


def _nothing(done: Done) -> list[Any]:
    """As ``_result`` of a job that returned nothing, as most do, in a tenth of the time."""
    execution = done.taken.execution
    return [
        *("type", Result.Type.SUCCESSFUL.value, "worker_name", execution.worker_name),
        *("execution_id", execution.id, "execution_started_at", execution.created_at.timestamp()),
        *("execution_ended_at", done.ended_at.timestamp()),
    ]


def _result(done: Done) -> list[Any]:
    """The result as RQ keeps it: its fields, each followed by its value."""
    job, execution = done.taken.job, done.taken.execution
    result = Result(
        job.id,
        Result.Type.SUCCESSFUL,
        connection=job.connection,
        return_value=done.value,
        worker_name=execution.worker_name,
        execution_id=execution.id,
        execution_started_at=execution.created_at,
        execution_ended_at=done.ended_at,
    )
    # Not handed over, as RQ would look at each time whether it is one.
    result.serializer = JSONSerializer
    return [part for field in result.serialize().items() for part in field]


def fetch_current(redis: Redis, worker_key: str) -> tuple[str, str, str] | None:
    """Of the job that a worker has in progress its id, its execution's and its queue; None if it has none."""
    found = redis.hmget(worker_key, "current_job", "current_execution", "current_queue")
    job, execution, queue = (as_text(part) if part else "" for part in found)
    return (job, execution, queue) if job and execution and queue else None
