"""The judge of delays counts each death, sees what a killed scheduler holds up, and fails what is late."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.ledger import pulse
from tests.e2e.ledger.books import Books, Note
from tests.e2e.ledger.delays import FEW_OPEN, Loss, look_at_delays, losses
from tests.e2e.ledger.faults import Fault
from tests.e2e.ledger.made_up import START, at, fault, note, nothing_found, planned, run
from tests.e2e.ledger.made_up import WORKER as NAME
from tests.e2e.ledger.plans import OWNERS
from tests.e2e.ledger.pulse import feeling
from tests.e2e.ledger.witness import Heard

pytestmark = pytest.mark.e2e

# The process that works on what is made up, its work-horse, and the scheduler.
WORKER, HORSE, SCHEDULER = 100, 200, 300


def seconds_of(notes: list[Note], *faults: Fault) -> list[float | None]:
    return [loss.seconds for loss in losses(notes, faults)]


def lost_twice() -> list[Note]:
    """One that was begun at 0, died at 1, was begun again at 5, died at 6, and was begun at last at 50."""
    return [
        note("began", of="call", attempt=1),
        note("lost", of="call", attempt=1, seconds=4),
        note("began", of="call", attempt=2, seconds=5),
        note("lost", of="call", attempt=2, seconds=27),
        note("began", of="call", attempt=3, seconds=50),
    ]


def test_each_death_of_one_run_is_counted_by_itself() -> None:
    deaths = fault("worker killed", 1, process=WORKER), fault("work-horse killed", 6, process=HORSE)
    assert seconds_of(lost_twice(), *deaths) == [4.0, 44.0]


def test_the_longest_counts_also_of_what_was_lost_again() -> None:
    books = Books(made={}, runs=[run("call", attempt=3, lost_attempts=2)], notes=lost_twice())
    found = nothing_found(
        books, fault("worker killed", 1, process=WORKER), fault("work-horse killed", 6, process=HORSE)
    )
    look_at_delays(found, books)
    assert found.figures["taken_up"] == 2
    assert found.figures["lost_again"] == 1
    assert found.figures["taken_up_last"] == 44.0


def test_where_no_death_is_known_the_time_counts_from_the_beginning() -> None:
    began_and_lost = lost_twice()[:3]
    start = START.timestamp()
    for other in (
        fault("worker killed", 1, process=WORKER + 1),
        fault("worker killed", -35, process=WORKER),
        fault("worker killed", 9, process=WORKER),
        fault("worker stopped", -25, ended=-2, process=WORKER),
    ):
        assert list(losses(began_and_lost, [other])) == [
            Loss("call", 1, start, start + 5, hurt=None, is_explained=False, who=NAME)
        ]


def test_what_a_dead_process_had_asked_for_counts_from_when_it_got_it() -> None:
    """It waited for a lock that another process held, and so did its death."""
    for before in (
        fault("worker killed", -5, process=WORKER),
        fault("work-horse killed", -25, process=HORSE),
        fault("worker stopped", -20, ended=3, process=WORKER),
    ):
        (loss,) = losses(lost_twice()[:3], [before])
        assert (loss.hurt, loss.seconds) == (before.kind, 5.0)


def test_what_nobody_was_hurt_for_needs_a_database_that_was() -> None:
    def blamed(*faults: Fault) -> bool:
        found = nothing_found(Books(made={}, notes=lost_twice()[:3]), *faults)
        look_at_delays(found, Books(made={}, notes=lost_twice()[:3]))
        return "attempts that nothing has ended" in found.wrong

    assert blamed()
    assert blamed(fault("Redis killed", 1))
    assert not blamed(fault("worker killed", 1, process=WORKER))
    for hurt in ("PostgreSQL killed", "connections cut"):
        assert not blamed(fault(hurt, 1))
        assert blamed(fault(hurt, -5))
        assert blamed(fault(hurt, 9))


def test_the_first_of_two_deaths_counts() -> None:
    horse, worker = fault("work-horse killed", 1, process=HORSE), fault("worker killed", 3, process=WORKER)
    assert seconds_of(lost_twice()[:3], worker, horse) == [4.0]


def test_a_worker_that_was_stopped_counts_from_then_on() -> None:
    stopped = fault("worker stopped", 1, ended=24, process=WORKER)
    assert seconds_of(lost_twice()[:3], stopped) == [4.0]
    found = nothing_found(Books(made={}), stopped)
    look_at_delays(found, Books(made={}, notes=lost_twice()[:3]))
    assert (found.figures["lost_by_who_was_stopped"], found.figures["without_death"]) == (1, 0)


def test_a_loss_that_nobody_could_go_on_with_tells_nothing() -> None:
    def taken_up(*more: Fault) -> float:
        found = nothing_found(Books(made={}), fault("worker killed", 1, process=WORKER), *more)
        look_at_delays(found, Books(made={}, notes=lost_twice()[:3]))
        return found.figures["taken_up"]

    assert taken_up() == 1
    assert taken_up(fault("schedulers away", 3, ended=78)) == taken_up(fault("Redis away", 3, ended=12)) == 0
    assert taken_up(fault("schedulers away", -20, ended=2)) == 0
    assert taken_up(fault("schedulers away", 6, ended=81)) == taken_up(fault("scheduler killed", 3)) == 1
    assert taken_up(fault("Redis killed", 3, ended=9)) == 0
    assert taken_up(fault("Redis killed", 3)) == taken_up(fault("Redis away", -20, ended=-8)) == 1


def test_a_loss_beside_which_both_of_a_kind_were_hurt_for_long_tells_nothing() -> None:
    deaths = fault("worker killed", 1, process=WORKER), fault("work-horse killed", 6, process=HORSE)

    def taken_up(*more: tuple[str, str, float, float]) -> float:
        others = [
            replace(fault(kind, began, ended=ended), target=target) for kind, target, began, ended in more
        ]
        found = nothing_found(Books(made={}), *deaths, *others)
        look_at_delays(found, Books(made={}, notes=lost_twice()))
        return found.figures["taken_up"]

    stopped = ("scheduler stopped", "scheduler-1", 0.0, 23.0)
    assert taken_up(stopped) == taken_up(stopped, ("worker stopped", "worker-1", 0, 23)) == 2
    # From the second death on, which is followed after 44 s.
    assert taken_up(stopped, ("scheduler stopped", "scheduler-2", 10, 33)) == 1
    assert taken_up(stopped, ("scheduler stopped", "scheduler-2", 20, 43)) == 2
    # Who was killed is not there again at once.
    assert taken_up(stopped, ("scheduler killed", "scheduler-2", 10, 11.5)) == 1
    assert taken_up(stopped, ("scheduler killed", "scheduler-2", 10, 10.5)) == 2
    assert taken_up(stopped, ("scheduler killed", "scheduler-2", 55, 57)) == 2


def test_what_was_queued_when_a_worker_died_counts_from_its_death() -> None:
    start = START.timestamp()

    def waited(
        *faults: Fault, pushed: float = 0.5, stalls: Sequence[tuple[float, float]] = ()
    ) -> tuple[float, float]:
        late = run("call", due=0.5, first_started_at=at(9))
        books = Books(made={}, runs=[late], pushed={"call": start + pushed}, stalls=stalls)
        found = nothing_found(books, *faults)
        look_at_delays(found, books)
        return found.figures["waited"], found.figures["waited_last"]

    death = fault("worker killed", 1, process=WORKER)
    assert waited(death) == waited(death, fault("work-horse killed", 4)) == (1, 8.0)
    assert waited(fault("work-horse killed", 3), fault("worker killed", 0)) == (1, 6.0)
    assert waited(death, stalls=[(start + 2, start + 4)]) == (1, 6.0)
    for others in ((), (fault("worker killed", 10),), (fault("worker stopped", 1, ended=24),)):
        assert waited(*others) == (0, 0.0)
    # It was not there yet, or could not be handed on.
    assert waited(death, pushed=2) == waited(death, fault("Redis away", 3, ended=12)) == (0, 0.0)


def test_what_waits_in_its_queue_counts_from_its_turn_and_what_was_taken_out_of_it_from_the_death() -> None:
    start, death = START.timestamp(), fault("worker killed", 1, process=WORKER)
    each = {"earlier": 30.0, "call": 40.0, "later": 50.0}
    pushed = {name: start + place / 10 for place, name in enumerate(each)}

    def waited(*faults: Fault, queues: Mapping[str, str] | None = None, **begun: float) -> float:
        runs = [run(name, first_started_at=at(moment), ended=60) for name, moment in (each | begun).items()]
        books = Books(made={}, runs=runs, pushed=pushed, queues=queues or {})
        found = nothing_found(books, death, *faults)
        look_at_delays(found, books)
        return found.figures["waited_last"]

    # The first has nobody before it.
    assert waited() == 29.0
    assert waited(earlier=2) == 38.0
    assert waited(earlier=2, call=3, later=4) == 1.0
    # One that was passed over was not in the queue any more.
    assert waited(earlier=2, call=40, later=3) == 38.0
    assert waited(earlier=39, later=41) == 38.0
    # Another queue has a line of its own.
    assert waited(earlier=10, call=20, later=21) == 10.0
    assert waited(earlier=10, call=20, later=21, queues={"earlier": "bulk"}) == 19.0
    # Filled again in any order, a queue has those before it that were in there, and nobody else.
    assert waited(earlier=2, later=19, call=20) == 18.0
    for seconds, longest in ((-1, 18.0), (0.15, 18.0), (3, 17.0), (21, 18.0)):
        assert waited(fault("Redis flushed", seconds), earlier=2, later=19, call=20) == longest


def test_what_the_machine_held_up_is_subtracted() -> None:
    start, death = START.timestamp(), fault("worker killed", 1, process=WORKER)
    late = run("call", due=0.5, created_at=at(4), first_started_at=at(6))
    books = Books(made={}, runs=[late], notes=lost_twice()[:3])
    for stalls, taken_up, made, handed in (
        ([], 4.0, 3.5, 5.5),
        ([(start + 2, start + 3.5)], 2.5, 2.0, 4.0),
        ([(start - 9, start - 2), (start + 4, start + 20)], 3.0, 3.5, 3.5),
    ):
        found = nothing_found(books, death, fault("scheduler killed", 0, ended=1, process=SCHEDULER))
        look_at_delays(found, replace(books, stalls=stalls))
        longest = [found.figures[name] for name in ("taken_up_last", "made_late", "handed_late")]
        assert longest == [taken_up, made, handed]
        assert found.figures["stalls"] == len(stalls)


def test_a_machine_that_stands_still_is_felt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "STILL_SECONDS", 0.2)
    stands_still, write = threading.Event(), os.fsync

    def stand_still(descriptor: int) -> None:
        write(descriptor)
        if not stands_still.is_set():
            time.sleep(0.5)
            stands_still.set()

    with monkeypatch.context() as patched, feeling(tmp_path) as stalls:
        patched.setattr(os, "fsync", stand_still)
        assert stands_still.wait(10)
        time.sleep(0.5)
    # A busy machine may do so by itself, too.
    assert max(ended - began for began, ended in stalls) >= 0.5


def test_what_was_lost_and_needed_no_further_attempt_has_no_length() -> None:
    assert seconds_of(lost_twice()[:2], fault("worker killed", 1, process=WORKER)) == [None]


def test_a_loss_that_rows_do_not_know_of_is_found() -> None:
    books = Books(made={}, runs=[run("call", attempt=2, lost_attempts=0)], notes=lost_twice()[:3])
    found = nothing_found(books)
    look_at_delays(found, books)
    assert "lost attempts that were counted wrongly" in found.wrong


def handed_late(books: Books, *more: Fault) -> tuple[float, float]:
    """How many were looked at beside a killed scheduler, and how late the last was handed over."""
    found = nothing_found(books, fault("scheduler killed", 0, ended=1, process=SCHEDULER), *more)
    look_at_delays(found, books)
    return found.figures["handed"], found.figures["handed_late"]


def test_a_run_that_was_made_but_not_handed_over_is_seen() -> None:
    late = run("call", due=0.5, ended=20, first_started_at=at(14))
    pushed = {"call": START.timestamp() + 13.5}
    assert handed_late(Books(made={}, runs=[late], pushed=pushed)) == (1, 13.0)
    # Nobody has heard of it in Redis: it came there before it began.
    assert handed_late(Books(made={}, runs=[late])) == (1, 13.5)


def test_a_run_that_waits_in_its_queue_for_a_worker_was_handed_over() -> None:
    busy = run("call", due=0.5, ended=40, first_started_at=at(30))
    assert handed_late(Books(made={}, runs=[busy], pushed={"call": START.timestamp() + 1.0})) == (1, 0.5)


def test_a_run_that_was_given_up_before_anybody_had_it_is_seen() -> None:
    missed = run(
        "call", due=0.5, ended=5.5, status="skipped", reason="too_late", attempt=0, first_started_at=None
    )
    assert handed_late(Books(made={}, runs=[missed])) == (1, 5.5)


def test_what_waits_for_something_else_tells_nothing_of_a_scheduler() -> None:
    before = run("before", due=-60, ended=70, schedule="tea")
    behind = run("behind", due=0.5, ended=30, first_started_at=at(20), schedule="tea")
    assert handed_late(Books(made={}, runs=[before, behind])) == (0, 0.0)
    assert left_out(Books(made={}, runs=[before, behind])) == {"handed_behind": 1, "handed_crowded": 0}
    skipped = run("skipped", due=0.5, status="skipped", reason="overlap", ended=0, attempt=0)
    assert handed_late(Books(made={}, runs=[skipped])) == (0, 0.0)


def left_out(books: Books) -> dict[str, float]:
    found = nothing_found(books, fault("scheduler killed", 0, ended=1, process=SCHEDULER))
    look_at_delays(found, books)
    return {name: found.figures[name] for name in ("handed_behind", "handed_crowded")}


def test_only_the_window_of_its_own_owner_holds_a_run_up() -> None:
    late = run("late", due=0.5, ended=30, first_started_at=at(20), schedule="tea")
    crowd = [run(f"{number}", due=-60, ended=70, schedule="nap") for number in range(FEW_OPEN)]
    mine, others = replace(planned(0), owner=OWNERS[0]), replace(planned(0), owner=OWNERS[1])
    of_another = Books(made={"tea": mine, "nap": others}, runs=[*crowd, late])
    assert handed_late(of_another) == (1, 19.5)
    of_one = replace(of_another, made={"tea": mine, "nap": mine})
    assert handed_late(of_one) == (0, 0.0)
    # One less leaves room for it; it counts itself.
    assert handed_late(replace(of_one, runs=[*crowd[2:], late])) == (1, 19.5)
    overlapping = replace(of_one, runs=[replace(one, schedule=one.id) for one in crowd] + [late])
    made = {one.id: mine for one in crowd}
    assert left_out(replace(overlapping, made={**made, "tea": mine})) == {
        "handed_behind": 0,
        "handed_crowded": 1,
    }


def test_another_fault_beside_it_tells_nothing_of_a_scheduler() -> None:
    late = run("call", due=0.5, ended=20, first_started_at=at(14))
    assert handed_late(Books(made={}, runs=[late]), fault("Redis killed", 2)) == (0, 0.0)


def test_the_first_job_of_a_run_is_heard_of_by_its_push_alone() -> None:
    run_id, heard = "0198c2f0-0000-7000-8000-000000000001", Heard()
    heard.note(1.0, f"hset rq:job:run-{run_id}-1 created_at now")
    heard.note(2.0, f"rpush rq:queue:runs run-{run_id}-12")
    assert heard == Heard()
    heard.note(3.0, f"rpush rq:queue:runs-bulk run-{run_id}-1")
    heard.note(4.0, f"rpush rq:queue:runs run-{run_id}-1")
    assert heard == Heard({run_id: 3.0}, {run_id: "rq:queue:runs-bulk"})
