"""What breaks things: by a seed, at moments that are known before, and with a note of each."""

import os
import random
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from redis import Redis

from tests.e2e.ledger.ground import PROCESSES, Ground
from tests.processes import children_of

T = TypeVar("T")
# Longer than a lease, after which others go on with what it holds.
STOPPED_SECONDS = 23.0
HUNG_REDIS_SECONDS, MAIL_AWAY_SECONDS = 3.0, 5.0
REDIS_AWAY_SECONDS = (5.0, 12.0)
# Longer than a due time may be late before it counts as missed.
NO_SCHEDULER_SECONDS = 75.0
# A service manager starts again what has ended.
AWAY_SECONDS = (0.2, 1.5)
# Somebody does what takes long almost always; who is stopped while nothing is done loses nothing.
AT_WORK_SECONDS = 10.0
AT_WORK = "SELECT worker FROM runs WHERE status = 'running' AND params->>'url' LIKE '%/slow/%'"
# The numbers of a worker and of its work-horse at the end of the name of who works on a run.
PROCESS = re.compile(r"-(\d+)-[0-9a-f]+/(\d+)$")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done: seconds since 1970, from when until when, to whom, and to which process."""

    kind: str
    began: float
    ended: float
    target: str = ""
    process: int | None = None


@dataclass
class Troublemaker:
    """Breaks what the ground stands on, and has it come back; all of it from the main thread.

    Servers that this process starts end with the thread that started them.

    Attributes:
        faults: what was done, by time.
        ended: processes that ended though nobody asked them to; there should be none.
    """

    ground: Ground
    dice: random.Random
    faults: list[Fault] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)

    def work(self, moments: list[tuple[float, str]]) -> None:
        """Do each of ``KINDS`` at its moment, then wait until all that was hurt is back."""
        for at, kind in moments:
            self._wait_until(at)
            KINDS[kind](self)
        while self._later:
            self._wait_until(min(at for at, _ in self._later))

    def _wait_until(self, moment: float) -> None:
        while True:
            self._bring_back()
            self._notice_who_ended()
            left = moment - time.time()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def _bring_back(self) -> None:
        now = time.time()
        due = [again for at, again in self._later if at <= now]
        self._later = [(at, again) for at, again in self._later if at > now]
        for again in due:
            again()

    def _notice_who_ended(self) -> None:
        for name, process in list(self.ground.installation.processes.items()):
            if process.poll() is not None:
                self.ended.append(f"{name} ended with {process.returncode}")
                self.ground.installation.start(name)

    def _note(
        self,
        kind: str,
        began: float,
        target: str = "",
        *,
        ended: float | None = None,
        process: int | None = None,
    ) -> None:
        self.faults.append(Fault(kind, began, ended or time.time(), target, process))

    def _one_of(self, kind: str) -> str:
        """A process of this kind that nobody has hurt just now; waits until there is one."""
        return self.dice.choice(self._until(lambda: self._all_of(kind)))

    def _all_of(self, kind: str) -> list[str]:
        return [name for name in PROCESSES if name.startswith(kind) and name not in self._away]

    def _wait_for(self, server: str) -> None:
        """Until that server is there."""
        self._until(lambda: server not in self._away)

    def _until(self, condition: Callable[[], T]) -> T:
        """The first answer of the condition that is true; who was hurt comes back meanwhile."""
        while not (answer := condition()):
            self._wait_until(time.time() + 0.1)
        return answer

    def _come_back(self, name: str, seconds: float, again: Callable[[], None]) -> None:
        self._away.add(name)

        def come() -> None:
            again()
            self._away.discard(name)

        self._later.append((time.time() + seconds, come))

    def kill(self, kind: str) -> None:
        """kill -9 of a process."""
        self._kill(self._one_of(kind), f"{kind} killed", self.dice.uniform(*AWAY_SECONDS))

    def kill_all(self, kind: str) -> None:
        """kill -9 of all processes of a kind, which stay away for long."""
        names = [name for name in PROCESSES if name.startswith(kind)]
        self._until(lambda: self._all_of(kind) == names)
        for name in names:
            self._kill(name, f"{kind}s away", NO_SCHEDULER_SECONDS)

    def _kill(self, name: str, fault: str, pause: float) -> None:
        began, pid = time.time(), self.ground.installation.processes[name].pid
        self.ground.installation.kill(name)
        self._come_back(name, pause, lambda: self.ground.installation.start(name))
        self._note(fault, began, name, ended=began + pause, process=pid)

    def kill_child(self, kind: str) -> None:
        """kill -9 of a work-horse, or of what answers requests: its parent sees to the rest."""
        name, child = self._one_child(kind)
        began = time.time()
        os.kill(child, signal.SIGKILL)
        killed = "work-horse killed" if kind == "worker" else "web child killed"
        self._note(killed, began, name, process=child)

    def stop_horse(self) -> None:
        """Stop a work-horse alone, whose parent sees nothing of it, until its leases have run out."""
        name, child = self._one_at_work()
        began = time.time()
        os.kill(child, signal.SIGSTOP)
        self._come_back(name, STOPPED_SECONDS, lambda: _go_on(child))
        self._note("work-horse stopped", began, name, ended=began + STOPPED_SECONDS, process=child)

    def stop_for_long(self, kind: str) -> None:
        """Stop a process and its children, and let them go on after their leases have run out."""
        name = self._one_at_work()[0] if kind == "worker" else self._one_of(kind)
        began, parent = time.time(), self.ground.installation.processes[name].pid
        os.kill(parent, signal.SIGSTOP)
        self._until(lambda: _is_stopped(parent))
        # A work-horse is in a group of its own; and nobody makes another while the parent is stopped.
        stopped = [parent, *self._children(name)]
        for process in stopped[1:]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)

        def again() -> None:
            for process in stopped:
                _go_on(process)

        self._come_back(name, STOPPED_SECONDS, again)
        self._note(f"{kind} stopped", began, name, ended=began + STOPPED_SECONDS, process=parent)

    def _one_child(self, kind: str) -> tuple[str, int]:
        """A process that nobody has hurt just now, and a child of it, as soon as there is one."""
        while not (children := self._children(name := self._one_of(kind))):
            self._wait_until(time.time() + 0.1)
        return name, self.dice.choice(children)

    def _one_at_work(self) -> tuple[str, int]:
        """A worker that nobody has hurt just now, and a child of it that has work for a while, if any has."""
        end = time.time() + AT_WORK_SECONDS
        while time.time() < end:
            numbers = [PROCESS.search(row[0] or "") for row in self.ground.database.ask(AT_WORK)]
            at_work = {int(found[1]): int(found[2]) for found in numbers if found}
            for name in self._all_of("worker"):
                parent = self.ground.installation.processes[name].pid
                if parent in at_work:
                    return name, at_work[parent]
            self._wait_until(time.time() + 0.05)
        return self._one_child("worker")

    def flush_redis(self) -> None:
        self._wait_for("redis")
        began = time.time()
        with Redis.from_url(self.ground.installation.environment["REDIS_URL"]) as connection:
            connection.flushall()
        self._note("Redis flushed", began)

    def restart_redis(self) -> None:
        self._wait_for("redis")
        began = time.time()
        self.ground.redis.kill()
        self.ground.redis.wait(5)
        self.ground.redis.start()
        self._note("Redis killed", began)

    def end_redis(self) -> None:
        self._wait_for("redis")
        began, pause = time.time(), self.dice.uniform(*REDIS_AWAY_SECONDS)
        self.ground.redis.kill()
        self.ground.redis.wait(5)
        self._come_back("redis", pause, self.ground.redis.start)
        self._note("Redis away", began, ended=began + pause)

    def hang_redis(self) -> None:
        """It takes connections, and answers nobody."""
        self._wait_for("redis")
        began, process = time.time(), self.ground.redis.pid
        os.kill(process, signal.SIGSTOP)
        self._come_back("redis", HUNG_REDIS_SECONDS, lambda: os.kill(process, signal.SIGCONT))
        self._note("Redis hangs", began, ended=began + HUNG_REDIS_SECONDS)

    def crash_database(self) -> None:
        began = time.time()
        self.ground.database.crash()
        self._note("PostgreSQL killed", began)

    def cut_connections(self) -> None:
        began = time.time()
        self.ground.database.cut()
        self._note("connections cut", began)

    def end_mail(self) -> None:
        self._wait_for("mail")
        began = time.time()
        self.ground.mail.stop()
        self._come_back("mail", MAIL_AWAY_SECONDS, self.ground.mail.start)
        self._note("mail server away", began, ended=began + MAIL_AWAY_SECONDS)

    def refuse_mail(self) -> None:
        self._wait_for("mail")
        began, refusals = time.time(), self.ground.mail.refusals
        refusals["RCPT"] = "451 Try again later"
        self._come_back("mail", MAIL_AWAY_SECONDS, refusals.clear)
        self._note("mail refused", began, ended=began + MAIL_AWAY_SECONDS)

    def _children(self, name: str) -> list[int]:
        return children_of(self.ground.installation.processes[name].pid)


def _is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _go_on(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGCONT)


KINDS: dict[str, Callable[[Troublemaker], None]] = {
    "scheduler": lambda maker: maker.kill("scheduler"),
    "worker": lambda maker: maker.kill("worker"),
    "horse": lambda maker: maker.kill_child("worker"),
    "web": lambda maker: maker.kill("web"),
    "web child": lambda maker: maker.kill_child("web"),
    "stop a worker": lambda maker: maker.stop_for_long("worker"),
    "stop a scheduler": lambda maker: maker.stop_for_long("scheduler"),
    "stop a horse": Troublemaker.stop_horse,
    "stop a web": lambda maker: maker.stop_for_long("web"),
    "no scheduler": lambda maker: maker.kill_all("scheduler"),
    "restart Redis": Troublemaker.restart_redis,
    "flush Redis": Troublemaker.flush_redis,
    "end Redis": Troublemaker.end_redis,
    "hang Redis": Troublemaker.hang_redis,
    "crash the database": Troublemaker.crash_database,
    "cut connections": Troublemaker.cut_connections,
    "end mail": Troublemaker.end_mail,
    "refuse mail": Troublemaker.refuse_mail,
}
# How often each comes, of all.
WEIGHTS = {
    "scheduler": 22,
    "worker": 18,
    "horse": 18,
    "web": 12,
    "web child": 6,
    "stop a worker": 2,
    "stop a scheduler": 2,
    "restart Redis": 4,
    "flush Redis": 4,
    "end Redis": 2,
    "hang Redis": 2,
    "crash the database": 4,
    "cut connections": 3,
    "end mail": 3,
    "refuse mail": 3,
}
# They come but once, and only where there is time for them.
TAKES_LONG = ("no scheduler", "stop a horse", "stop a web")


def kinds_within(seconds: float) -> list[str]:
    """Of what happens at least once in a trial that is so long."""
    return [*WEIGHTS, *(TAKES_LONG if seconds >= 5 * NO_SCHEDULER_SECONDS else ())]


def moments(dice: random.Random, *, start: float, seconds: float, number: int) -> list[tuple[float, str]]:
    """So many faults, spread over the time, each kind at least once."""
    kinds = kinds_within(seconds)
    kinds += dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=max(number - len(kinds), 0))
    dice.shuffle(kinds)
    times = sorted(start + dice.uniform(0, seconds) for _ in kinds)
    if seconds < 3 * STOPPED_SECONDS:
        # In a short trial who is stopped for long is so from its beginning, or it would have no end.
        kinds.sort(key=lambda kind: not kind.startswith("stop"))
    return list(zip(times, kinds, strict=True))
