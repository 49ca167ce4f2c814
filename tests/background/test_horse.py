"""The process that does one job after the other, in a program of its own: pytest is not forked."""

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, signal, time
from taskapi.background import horse as module
from taskapi.background.horse import Order, WorkHorse

log = {log!r}
def do(order):
    with open(log, "a") as file:
        print(order.job_id, order.queue, os.getpid(), file=file)
    if order.job_id == "crash":
        os.abort()
    if order.job_id == "raise":
        raise KeyboardInterrupt
    if order.job_id == "slow":
        time.sleep(0.5)
        print("slept", file=open(log, "a"))
    if order.job_id == "quit":
        os._exit(0)
    if order.job_id == "fork and crash":
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        os.abort()
    return order.job_id != "fail"

def order(name):
    return Order(name, "execution", "runs")

def done(name):
    horse.hand_over(order(name))
    return horse.wait()

horse = WorkHorse(do, lambda: None)
"""


def run(tmp_path: Path, script: str) -> list[str]:
    """Run the script after ``BEGIN``; what the jobs wrote."""
    log = tmp_path / "log"
    log.touch()
    program = BEGIN.format(log=str(log)) + script
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    return log.read_text().splitlines()


def test_it_does_what_it_is_told_and_says_when_it_is_done(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        "assert done('a') is None; assert done('b') is None\n"
        "assert not horse.has_left\nprint(horse.pid, file=open(log, 'a'))",
    )
    pid = lines.pop()
    assert lines == [f"a runs {pid}", f"b runs {pid}"]


@pytest.mark.parametrize(
    ("job", "ended"),
    [("crash", "os.WTERMSIG(status) == 6"), ("raise", "status == 256"), ("quit", "status == 256")],
)
def test_its_end_in_a_job_is_told_with_its_status(tmp_path: Path, job: str, ended: str) -> None:
    run(tmp_path, f"status = done({job!r}); assert {ended}, status; assert horse.has_left")


def test_its_end_is_told_while_a_process_that_the_job_forked_lives_on(tmp_path: Path) -> None:
    run(
        tmp_path,
        "begun = time.monotonic(); status = done('fork and crash'); assert os.WTERMSIG(status) == 6, status\n"
        "assert time.monotonic() - begun < 2",
    )


def test_a_wait_that_was_broken_off_can_be_repeated(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        "signal.alarm(5); assert done('a') is None; assert horse.wait() is None\n"
        "assert not horse.has_left; assert done('b') is None\n"
        "assert done('fail') is None; assert horse.has_left",
    )
    assert [line.split()[0] for line in lines] == ["a", "b", "fail"]


def test_it_leaves_after_a_job_that_failed(tmp_path: Path) -> None:
    run(tmp_path, "assert done('fail') is None; assert horse.has_left")


@pytest.mark.parametrize(
    "limit", ["module.MAX_JOBS = 2", "module.MAX_MEMORY_BYTES = 1"], ids=["jobs", "memory"]
)
def test_it_leaves_after_a_job_when_it_did_enough_or_has_grown(tmp_path: Path, limit: str) -> None:
    lines = run(
        tmp_path,
        f"horse.dismiss(); {limit}; horse = WorkHorse(do, lambda: None)\n"
        "while not horse.has_left: assert done('a') is None",
    )
    assert len(lines) == (2 if "JOBS" in limit else 1)


def test_that_it_was_killed_while_it_waited_is_seen(tmp_path: Path) -> None:
    run(
        tmp_path,
        "os.kill(horse.pid, signal.SIGKILL); time.sleep(0.2); assert horse.has_left; horse.dismiss()",
    )


def test_dismissed_it_ends_at_once_or_after_its_job(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        "horse.dismiss(); assert horse.has_left\n"
        "horse = WorkHorse(do, lambda: None); horse.hand_over(order('slow')); time.sleep(0.1)\n"
        "begun = time.monotonic(); horse.dismiss(); assert time.monotonic() - begun < 0.3\n"
        "assert os.waitpid(horse.pid, 0)[1] == 0",
    )
    assert lines[-1] == "slept"
