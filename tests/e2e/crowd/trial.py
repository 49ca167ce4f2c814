"""Ten minutes of people and due times, with faults in the middle; what it cost, and what was answered."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis

from benchmarks.results import quantile
from tests.e2e.crowd.faults import faults
from tests.e2e.crowd.floors import Floors, Measured
from tests.e2e.crowd.judging import Point, growth, misheard
from tests.e2e.crowd.lateness import Lateness, lateness
from tests.e2e.crowd.listening import Listener
from tests.e2e.crowd.people import Answer, busy, sign_up
from tests.e2e.crowd.reporting import Report, reporter
from tests.e2e.crowd.sampling import Samples, bytes_of_queues, sampling
from tests.e2e.installation import ApiUser
from tests.e2e.ledger.books import MAILS, Books, Mail
from tests.e2e.ledger.ground import Ground, ground
from tests.e2e.ledger.judgement import Judgement
from tests.e2e.ledger.judging import received
from tests.e2e.ledger.logs import unexplained_errors, warned_of
from tests.e2e.ledger.telling import look_at_post

SCHEDULES_EVERY_SECOND, MAILS_ONE_IN = 50, 10
# Before the end nothing more is due.
QUIET_SECONDS = 20
# So long Redis keeps what has ended.
FORGOTTEN_SECONDS = 65.0
PATIENCE_SECONDS = 900.0
OWNER, REPORTER = "ada@example.org", "bea@example.org"
# What somebody did themselves, and must hear of.
OWN = """
    SELECT id::text FROM events
    WHERE actor_id = CAST(:user AS uuid) AND subject_type IN ('task', 'comment', 'file') AND position <= (
        SELECT position FROM events WHERE actor_id = CAST(:user AS uuid) AND type = 'task.created'
        ORDER BY position DESC LIMIT 1)
    ORDER BY position
"""
REMINDERS = "SELECT id::text FROM runs WHERE action = 'reminder' AND status = 'completed'"
UNSENT = "SELECT count(*) FROM emails WHERE status IN ('pending', 'sending')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many people, how many of them listening, for how long, and what must come of it at least."""

    people: int
    listening: int
    seconds: int
    due_each_second: int = SCHEDULES_EVERY_SECOND
    floors: Floors


# A half or less of what this is when nothing runs beside it, and times that other tests may need.
SHORT = Size(
    people=12,
    listening=4,
    seconds=40,
    due_each_second=10,
    floors=Floors(answered_within=2, p99_within=5, done_part=0.5, begun_within=20),
)
# Half of what two processors do that have nothing else to do.
LONG = Size(
    people=200,
    listening=40,
    seconds=600,
    floors=Floors(answered_within=1, p99_within=3, done_part=1 / 3, begun_within=400),
)


@dataclass
class Outcome:
    """What came of a trial.

    Attributes:
        report: what became of the one that was to be kept on a full disk.
        misheard: what is wrong with what people heard who listened; each of them came back so often.
        post: what is wrong with the mails of reminders, and how many came more than once.
        jobs_left: what jobs Redis still keeps when all is done and what has ended is forgotten;
            ``bytes_of_queues`` what it holds of queues, workers and jobs then.
        ended_processes: who ended though nobody asked them to.
        unexplained_errors: what was logged that no fault makes; ``warned_of`` which events were.
        faults: from when until when each fault held, in seconds since 1970.
    """

    size: Size
    answers: list[Answer]
    damaged: int
    heard: int
    returns: list[int]
    misheard: list[str]
    report: Report
    post: Judgement
    jobs_left: list[str]
    bytes_of_queues: float
    samples: Samples
    faults: dict[str, tuple[float, float]]
    due: int
    runs: Counter[str]
    lateness: Lateness
    ended_processes: list[str]
    unexplained_errors: list[str]
    warned_of: set[str]
    begun: float
    ended: float

    def growth(self, points: Sequence[Point]) -> float:
        """Per cent, from when all was warm to the end."""
        length = self.ended - self.begun
        first, last = (
            (self.begun + length * begin, self.begun + length * end)
            for begin, end in ((0.2, 0.35), (0.85, 1))
        )
        return growth(points, first=first, last=last)

    def growth_after_faults(self, points: Sequence[Point]) -> float:
        """Per cent, from when the last fault was over and made good to the last due times."""
        start = max(end for _, end in self.faults.values()) + FORGOTTEN_SECONDS
        end = self.begun + self.size.seconds - QUIET_SECONDS
        third = (end - start) / 3
        return growth(points, first=(start, start + third), last=(end - third, end))

    def measured(self) -> Measured:
        """What the floors of its size are compared with."""
        usual = [answer.seconds for answer in self.answers if self._fault_at(answer.at) == "none"]
        return Measured(
            people=self.size.people,
            seconds=self.size.seconds,
            answers=Counter(answer.what for answer in self.answers if 0 < answer.status < 400),
            p99=quantile(sorted(usual), 0.99),
            due=self.due,
            lateness=self.lateness,
        )

    def errors(self) -> Counter[tuple[str, str, int]]:
        """What was not answered, or by an error of the server: in which fault, to what, and how."""
        return Counter(
            (self._fault_at(answer.at), answer.what, answer.status)
            for answer in self.answers
            if answer.status == 0 or answer.status >= 500
        )

    def _fault_at(self, moment: float) -> str:
        # What one has done may still be felt when the next begins.
        held = [name for name, (begin, end) in self.faults.items() if begin <= moment < end]
        return held[-1] if held else "none"


def play(folder: Path, size: Size) -> Outcome:
    """Let people work while schedules fire, and take the mail, Redis and the disk away for a while each."""
    with ground(folder) as place:
        people = sign_up(place.addresses(), size.people)
        owner, reporting = place.user(OWNER), reporter(place.user(REPORTER))
        due = _schedule(place, owner, size)
        samples, begun = Samples(), time.time()
        with sampling(place, samples), busy(people, listening=size.listening) as crowd:
            held = dict(faults(place, reporting, begun=begun, seconds=size.seconds))
            time.sleep(max(begun + size.seconds - time.time(), 0))
        ended = time.time()
        # That of the report, too.
        runs, logged = _runs(place, due + 1), place.installation.log_text()
        return Outcome(
            size=size,
            answers=crowd.answers,
            damaged=crowd.damaged,
            heard=sum(len(one.heard) for one in crowd.listeners),
            returns=[one.returns for one in crowd.listeners],
            misheard=[wrong for one in crowd.listeners for wrong in _misheard(place, one)],
            samples=samples,
            faults=held,
            due=due,
            runs=runs,
            lateness=lateness(place.database, people_left=ended),
            ended_processes=[
                name for name, process in place.installation.processes.items() if process.poll() is not None
            ],
            unexplained_errors=list(
                unexplained_errors(logged, killed=False, database_was_hurt=False, disk_was_full=True)
            ),
            warned_of=warned_of(logged),
            report=reporting.found(),
            post=_post(place),
            jobs_left=_jobs_left(place),
            bytes_of_queues=bytes_of_queues(place),
            begun=begun,
            ended=ended,
        )


def _schedule(place: Ground, owner: ApiUser, size: Size) -> int:
    """Have so many due times come each second, until shortly before the end; how many in all.

    Each tenth is a reminder by e-mail: a mail server takes longer for one than a worker for ten calls.
    """
    start = (datetime.now(UTC) + timedelta(seconds=10)).replace(microsecond=0)
    times = size.seconds - QUIET_SECONDS
    trigger = {"every": 1, "starts_at": start.isoformat(), "max_runs": times}
    policy = {"catch_up": "all", "overlap": "allow", "notify": []}
    call = {"name": "call", "action": "webhook", "params": {"url": f"{place.receiver.url}/at-once"}}
    for number in range(size.due_each_second):
        if number % MAILS_ONE_IN == 0:
            owner.remind(**trigger, **policy)
        else:
            owner.post("/schedules", {**call, **trigger, **policy})
    return times * size.due_each_second


def _runs(place: Ground, due: int) -> Counter[str]:
    """How many runs came to what, once all have ended and their mails are sent."""
    # While people are there, work has what they leave of the machine.
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        rows = place.database.ask("SELECT status, count(*) FROM runs GROUP BY status")
        found = Counter(dict(rows))
        is_over = found["completed"] >= due and place.database.ask(UNSENT)[0][0] == 0
        if is_over or time.monotonic() > end:
            return found
        time.sleep(0.5)


def _misheard(place: Ground, listener: Listener) -> list[str]:
    own = [row[0] for row in place.database.ask(OWN, user=listener.user_id)]
    wrong = list(misheard(listener.heard, own))
    wrong += [] if listener.has_heard_last else [f"{listener.user_id} did not hear of their last change"]
    return wrong + [f"{listener.user_id} was told to begin anew"] * listener.resyncs


def _post(place: Ground) -> Judgement:
    """Each reminder that was done has its mail, and each mail has come."""
    mails = [Mail(*row) for row in place.database.ask(MAILS)]
    books = Books(made={}, mails=mails, received=[received(message) for message in place.mail.messages])
    found = Judgement([], [])
    look_at_post(found, books)
    done = {f"run:{row[0]}:reminder:{OWNER}" for row in place.database.ask(REMINDERS)}
    reminding = {mail.key for mail in mails if mail.kind == "reminder"}
    found.blame("reminders without a mail", done - reminding)
    found.blame("mails without a reminder", reminding - done)
    found.count(reminders=len(done))
    return found


def _jobs_left(place: Ground) -> list[str]:
    """The jobs of runs and mails that Redis has, once it forgot those that have ended."""
    end = time.monotonic() + FORGOTTEN_SECONDS
    with Redis.from_url(place.installation.environment["REDIS_URL"], decode_responses=True) as redis:
        while True:
            left = [key for kind in ("run", "email") for key in redis.scan_iter(f"rq:job:{kind}-*", 1000)]
            if not left or time.monotonic() > end:
                return left
            time.sleep(1)
