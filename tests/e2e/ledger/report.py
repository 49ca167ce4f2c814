"""What a trial showed, for ``docs/guarantees.md``: a table, and a picture of lateness and faults."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping

from benchmarks.drawing import timeline
from benchmarks.results import table
from tests.e2e.ledger.delays import FEW_OPEN
from tests.e2e.ledger.demands import lacking
from tests.e2e.ledger.judgement import PROMISED, Judgement
from tests.e2e.ledger.playing import Trial
from tests.e2e.ledger.verdicts import Run

# A logarithm has no zero; nothing is measured closer than that.
SHORTEST = 0.001
# Why something was not measured.
WITHOUT_SERVERS = "without a scheduler, a worker or Redis meanwhile"
CROWDED = f"as their owner had {FEW_OPEN} runs open"
BEHIND = "as they were over at once or behind another of their schedule"
STEP_SECONDS = 2.0


def report(trial: Trial, judgement: Judgement, machine: str) -> str:
    """The table in Markdown."""
    figures = judgement.figures
    kinds = Counter(fault.kind for fault in judgement.faults)
    faults = ("faults", ", ".join(f"{kind} {number}" for kind, number in kinds.most_common()))
    lines = [
        f"Seed {trial.seed}, {trial.seconds} s, {len(judgement.faults)} faults,"
        f" `WORKER_THREADS` {trial.threads}; on {machine}.",
        table(
            ("what", "found"), [*_of_due_times(figures), faults, *_of_delays(figures), *_of_effects(figures)]
        ),
        _verdict(judgement, trial),
    ]
    return "\n\n".join(lines)


def _of_due_times(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    return [
        ("owners, schedules, due times", _numbers(figures, "owners", "schedules", "due")),
        ("runs, **lost**, **doubled**", _numbers(figures, "runs", "lost", "doubled")),
        (
            "completed, failed for good, skipped, cancelled",
            _numbers(figures, "completed", "failed", "skipped", "cancelled"),
        ),
        (
            "skipped beside one that was open, as missed, as too late; replaced",
            _numbers(figures, "skipped_overlap", "skipped_catch_up", "skipped_too_late", "cancelled_overlap"),
        ),
        ("requests that were not answered, and asked again", _numbers(figures, "unanswered")),
    ]


def _of_delays(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    return [
        (
            "attempts, of which lost, of which by who was stopped, one after the other, without a death",
            _numbers(
                *(figures, "attempts", "lost_attempts"),
                *("lost_by_who_was_stopped", "lost_again", "without_death"),
            ),
        ),
        (
            f"from each death to the next attempt, at most {PROMISED.taken_up_last:g} s",
            f"{_longest(figures, 'taken_up', 'taken_up_last')};"
            + _left_out(figures, had_to_wait=WITHOUT_SERVERS),
        ),
        (
            "queued when a worker died, perhaps in its hands: from then, or from its turn in the queue, to"
            f" the first attempt, at most {PROMISED.waited_last:g} s",
            f"{_longest(figures, 'waited', 'waited_last')};"
            + _left_out(figures, waited_for_servers=WITHOUT_SERVERS),
        ),
        (
            f"beside a killed scheduler: from due to made, at most {PROMISED.made_late:g} s",
            f"{_longest(figures, 'beside_a_killed_scheduler', 'made_late')};"
            + _left_out(figures, beside_more_than_that="as more was broken"),
        ),
        (
            f"beside a killed scheduler: from due to its queue, at most {PROMISED.handed_late:g} s",
            f"{_longest(figures, 'handed', 'handed_late')}; of the same"
            + _left_out(figures, handed_behind=BEHIND, handed_crowded=CROWDED),
        ),
        (
            "the machine itself stood still for a second or more, which is subtracted above",
            f"{figures['stalls']:,.0f} times, {figures['stalled']:.1f} s together",
        ),
    ]


def _of_effects(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    return [
        (
            "calls, idempotency keys, keys answered more than once",
            _numbers(figures, "calls", "keys", "answered_again"),
        ),
        ("reminders, notifications", _numbers(figures, "reminders", "notifications")),
        (
            "mails, of which came more than once",
            _numbers(figures, "mails", "messages_again"),
        ),
        (
            "events of runs; told to a webhook, of which again",
            _numbers(figures, "run_events", "told", "told_again"),
        ),
        (
            "begun after: p50, p99, last",
            ", ".join(f"{figures[name]:.2f} s" for name in ("began_p50", "began_p99", "began_last")),
        ),
    ]


def _verdict(judgement: Judgement, trial: Trial) -> str:
    """Whether all that is promised was kept, and else what was not, or was not tried."""
    broken = [f"- **broken**: {words}" for words in judgement.broken(PROMISED)]
    broken += [
        f"- **wrong**: {what}: {len(found)}, such as {'; '.join(found[:3])}"
        for what, found in judgement.wrong.items()
    ]
    broken += [f"- **lacking**: {words}" for words in lacking(judgement, trial)]
    return "\n".join(broken) or f"Kept: {'; '.join(PROMISED.words().values())}."


def _longest(figures: Mapping[str, float], number: str, last: str) -> str:
    return f"{figures[last]:.2f} s, of {figures[number]:,.0f}" if figures[number] else "none"


def _left_out(figures: Mapping[str, float], **reasons: str) -> str:
    """How many of those that might have been measured were not, and why."""
    return " left out: " + ", ".join(f"{figures[name]:,.0f} {why}" for name, why in reasons.items())


def _numbers(figures: Mapping[str, float], *names: str) -> str:
    return ", ".join(f"{figures.get(name, 0):,.0f}" for name in names)


def picture(judgement: Judgement) -> str:
    """How late runs were made and begun, and what was broken meanwhile."""
    start = min(run.due_at.timestamp() for run in judgement.runs)
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for fault in sorted(judgement.faults, key=lambda fault: fault.kind):
        spans[fault.kind].append((max(fault.began - start, 0.0), fault.ended - start))
    begun, made = _by_time(judgement.runs, start, begun=True), _by_time(judgement.runs, start, begun=False)
    each = {
        "begun after the due time: latest": [(at, max(lags)) for at, lags in begun],
        "median": [(at, statistics.median(lags)) for at, lags in begun],
        "run made: latest": [(at, max(lags)) for at, lags in made],
    }
    return timeline("Lateness while processes and servers are killed", each, spans)


def _by_time(runs: list[Run], start: float, *, begun: bool) -> list[tuple[float, list[float]]]:
    """The lateness of the runs that were due in each step of the time."""
    found: dict[float, list[float]] = defaultdict(list)
    for run in runs:
        lag = run.began_after if begun else run.made_after
        if lag is not None:
            step = (run.due_at.timestamp() - start) // STEP_SECONDS * STEP_SECONDS
            found[step].append(max(lag, SHORTEST))
    return sorted(found.items())
