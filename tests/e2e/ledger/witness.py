"""Who stands by and notes what rows forget: each attempt and each success, and when Redis was given a run.

A row tells of its last attempt only. Triggers note every one of them in the transaction in which it
begins, is lost or ends; of Redis a connection hears each command.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from tests.e2e.ledger.books import Note
from tests.e2e.ledger.ground import Database

# Somebody has to notice that a server which hangs, or is gone, says nothing more.
SILENCE_SECONDS, AGAIN_SECONDS = 2.0, 0.05
NOTES = "SELECT kind, id::text, what, attempt, who, at FROM witness.notes ORDER BY number"
# What is changed twice to the same end is noted twice.
TRIGGERS = """
CREATE SCHEMA witness;
CREATE TABLE witness.notes (
    number bigserial, kind text, id uuid, what text, attempt integer, who text,
    at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION witness.note_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness.notes (kind, id, what, attempt, who)
        VALUES ('run', NEW.id, TG_ARGV[0], NEW.attempt, NEW.worker);
    RETURN NULL;
END $$;
CREATE FUNCTION witness.note_failure() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness.notes (kind, id, what, attempt, who)
        VALUES ('run', NEW.id, 'failed', NEW.attempt, NEW.error->>'code');
    RETURN NULL;
END $$;
CREATE FUNCTION witness.note_mail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness.notes (kind, id, what, attempt) VALUES ('mail', NEW.id, 'succeeded', NEW.attempts);
    RETURN NULL;
END $$;
CREATE FUNCTION witness.note_delivery() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness.notes (kind, id, what, attempt)
        VALUES ('delivery', NEW.id, 'succeeded', NEW.attempt_count);
    RETURN NULL;
END $$;
CREATE TRIGGER witness_began AFTER UPDATE ON runs FOR EACH ROW
    WHEN (NEW.attempt > OLD.attempt) EXECUTE FUNCTION witness.note_run('began');
CREATE TRIGGER witness_lost AFTER UPDATE ON runs FOR EACH ROW
    WHEN (NEW.lost_attempts > OLD.lost_attempts) EXECUTE FUNCTION witness.note_run('lost');
CREATE TRIGGER witness_failed AFTER UPDATE ON runs FOR EACH ROW
    WHEN (OLD.status = 'running' AND NEW.status IN ('pending', 'failed')
        AND NEW.lost_attempts = OLD.lost_attempts)
    EXECUTE FUNCTION witness.note_failure();
CREATE TRIGGER witness_succeeded AFTER UPDATE ON runs FOR EACH ROW
    WHEN (NEW.status = 'completed'
        AND (NEW.status, NEW.finished_at) IS DISTINCT FROM (OLD.status, OLD.finished_at))
    EXECUTE FUNCTION witness.note_run('succeeded');
CREATE TRIGGER witness_sent AFTER UPDATE ON emails FOR EACH ROW
    WHEN (NEW.status = 'sent'
        AND (NEW.status, NEW.attempts, NEW.sent_at) IS DISTINCT FROM (OLD.status, OLD.attempts, OLD.sent_at))
    EXECUTE FUNCTION witness.note_mail();
CREATE TRIGGER witness_delivered AFTER UPDATE ON webhook_deliveries FOR EACH ROW
    WHEN (NEW.status = 'succeeded'
        AND (NEW.status, NEW.attempt_count) IS DISTINCT FROM (OLD.status, OLD.attempt_count))
    EXECUTE FUNCTION witness.note_delivery();
"""
FIRST_JOB = re.compile(r"run-([0-9a-f-]{36})-1(?!\d)")


def stand_by(database: Database) -> None:
    """Have the database note what happens from now on."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql(TRIGGERS)


def notes(database: Database) -> list[Note]:
    """What was noted, in its order."""
    return [Note(*row) for row in database.ask(NOTES)]


@dataclass(slots=True)
class Heard:
    """Of each run that was put into a queue: when for the first time, in seconds since 1970, and into which.

    Both have the order in which that happened.
    """

    pushed: dict[str, float] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)

    def note(self, at: float, command: str) -> None:
        """Note a command, if it is one that puts the first job of a run into a queue."""
        if command[:5].lower() in ("rpush", "lpush"):
            for run_id in FIRST_JOB.findall(command):
                self.pushed.setdefault(run_id, at)
                self.queues.setdefault(run_id, command.split()[1])


@contextmanager
def hearing(url: str) -> Iterator[Heard]:
    """What is heard while the block runs."""
    heard = Heard()
    over = threading.Event()
    thread = threading.Thread(target=_hear, args=(url, heard, over), daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join(SILENCE_SECONDS * 2)


def _hear(url: str, heard: Heard, over: threading.Event) -> None:
    while not over.wait(AGAIN_SECONDS):
        with (
            suppress(RedisError, OSError),
            Redis.from_url(url, socket_timeout=SILENCE_SECONDS) as redis,
            redis.monitor() as monitor,
        ):
            while not over.is_set():
                told = monitor.next_command()
                heard.note(told["time"], told["command"])
