"""What breaks things: by a seed, at moments that are known before, and with a note of each."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis

from tests.e2e.ledger.ground import PROCESSES, Ground

# Longer than a lease, after which others go on with what it holds.
STOPPED_SECONDS = 23.0
HUNG_REDIS_SECONDS, MAIL_AWAY_SECONDS = 3.0, 5.0
# A service manager starts again what has ended.
AWAY_SECONDS = (0.2, 1.5)


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

    def _one_of(self, kind: str) -> str | None:
        """A process of this kind that nobody has hurt just now."""
        there = [name for name in PROCESSES if name.startswith(kind) and name not in self._away]
        return self.dice.choice(there) if there else None

    def _come_back(self, name: str, seconds: float, again: Callable[[], None]) -> None:
        self._away.add(name)

        def come() -> None:
            again()
            self._away.discard(name)

        self._later.append((time.time() + seconds, come))

    def kill(self, kind: str) -> None:
        """kill -9 of a process."""
        name = self._one_of(kind)
        if name is None:
            return
        began, pid = time.time(), self.ground.installation.processes[name].pid
        self.ground.installation.kill(name)
        pause = self.dice.uniform(*AWAY_SECONDS)
        self._come_back(name, pause, lambda: self.ground.installation.start(name))
        self._note(f"{kind} killed", began, name, ended=began + pause, process=pid)

    def kill_child(self, kind: str) -> None:
        """kill -9 of a work-horse, or of what answers requests: its parent sees to the rest."""
        name = self._one_of(kind)
        children = self._children(name) if name else []
        if not children:
            return
        began, child = time.time(), self.dice.choice(children)
        os.kill(child, signal.SIGKILL)
        killed = "work-horse killed" if kind == "worker" else "web child killed"
        self._note(killed, began, str(name), process=child)

    def stop_for_long(self, kind: str) -> None:
        """Stop a process and its children, and let them go on after their leases have run out."""
        name = self._one_of(kind)
        if name is None:
            return
        began, group = time.time(), self.ground.installation.processes[name].pid
        os.killpg(group, signal.SIGSTOP)
        self._come_back(name, STOPPED_SECONDS, lambda: os.killpg(group, signal.SIGCONT))
        self._note(f"{kind} stopped", began, name, ended=began + STOPPED_SECONDS, process=group)

    def flush_redis(self) -> None:
        if "redis" in self._away:
            return
        began = time.time()
        with Redis.from_url(self.ground.installation.environment["REDIS_URL"]) as connection:
            connection.flushall()
        self._note("Redis flushed", began)

    def restart_redis(self) -> None:
        if "redis" in self._away:
            return
        began = time.time()
        self.ground.redis.kill()
        self.ground.redis.wait(5)
        self.ground.redis.start()
        self._note("Redis killed", began)

    def hang_redis(self) -> None:
        """It takes connections, and answers nobody."""
        if "redis" in self._away:
            return
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
        if "mail" in self._away:
            return
        began = time.time()
        self.ground.mail.stop()
        self._come_back("mail", MAIL_AWAY_SECONDS, self.ground.mail.start)
        self._note("mail server away", began, ended=began + MAIL_AWAY_SECONDS)

    def refuse_mail(self) -> None:
        if "mail" in self._away:
            return
        began, refusals = time.time(), self.ground.mail.refusals
        refusals["RCPT"] = "451 Try again later"
        self._come_back("mail", MAIL_AWAY_SECONDS, refusals.clear)
        self._note("mail refused", began, ended=began + MAIL_AWAY_SECONDS)

    def _children(self, name: str) -> list[int]:
        pid = self.ground.installation.processes[name].pid
        try:
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            return []


KINDS: dict[str, Callable[[Troublemaker], None]] = {
    "scheduler": lambda maker: maker.kill("scheduler"),
    "worker": lambda maker: maker.kill("worker"),
    "horse": lambda maker: maker.kill_child("worker"),
    "web": lambda maker: maker.kill("web"),
    "web child": lambda maker: maker.kill_child("web"),
    "stop a worker": lambda maker: maker.stop_for_long("worker"),
    "stop a scheduler": lambda maker: maker.stop_for_long("scheduler"),
    "restart Redis": Troublemaker.restart_redis,
    "flush Redis": Troublemaker.flush_redis,
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
    "restart Redis": 5,
    "flush Redis": 4,
    "hang Redis": 2,
    "crash the database": 4,
    "cut connections": 3,
    "end mail": 1,
    "refuse mail": 1,
}


def moments(dice: random.Random, *, start: float, seconds: float, number: int) -> list[tuple[float, str]]:
    """So many faults, spread over the time, and each kind at least once where there is room for all."""
    kinds = list(WEIGHTS)[:number]
    kinds += dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number - len(kinds))
    dice.shuffle(kinds)
    times = sorted(start + dice.uniform(0, seconds) for _ in kinds)
    if seconds < 3 * STOPPED_SECONDS:
        # In a short trial who is stopped for long is so from its beginning, or it would have no end.
        kinds.sort(key=lambda kind: not kind.startswith("stop"))
    return list(zip(times, kinds, strict=True))
