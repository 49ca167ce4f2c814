"""The process in which jobs are done, in a program of its own: pytest is not forked."""

import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, select, signal, sys, threading, time
from taskapi.background import horse as module
from taskapi.background.horse import WorkHorse

log = {log!r}
def write(*words):
    with open(log, "a") as file:
        print(*words, file=file)

def live(*labours):
    return WorkHorse(labours, os.setpgrp)

def ended(horse):
    assert select.select([horse], [], [], 20)[0]
    assert horse.has_ended
    return horse
"""


def run(tmp_path: Path, script: str) -> list[str]:
    """Run the script after ``BEGIN``; what was written."""
    log = tmp_path / "log"
    log.touch()
    program = BEGIN.format(log=str(log)) + script
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    return log.read_text().splitlines()


def test_it_works_in_a_process_of_its_own_until_it_is_asked_to_leave(tmp_path: Path) -> None:
    run(
        tmp_path,
        "def labour(board):\n"
        "    while not board.is_leaving: time.sleep(0.01)\n"
        "    return False\n"
        "horse = live(labour)\n"
        "assert not horse.has_ended and horse.pid != os.getpid()\n"
        "horse.board.ask_to_leave(); assert ended(horse).is_done and not horse.is_spent",
    )


def test_that_another_is_to_go_on_is_told(tmp_path: Path) -> None:
    run(tmp_path, "horse = ended(live(lambda board: True)); assert horse.is_spent and not horse.is_done")


@pytest.mark.parametrize(
    ("end", "status"),
    [("os.abort()", "os.WTERMSIG(horse.status) == 6"), ("int('x')", "horse.status == 256")],
    ids=["crash", "raise"],
)
def test_its_end_is_told_with_its_status(tmp_path: Path, end: str, status: str) -> None:
    run(tmp_path, f"horse = ended(live(lambda board: {end})); assert {status}; assert not horse.is_done")


def test_its_end_is_told_while_a_process_that_a_job_forked_lives_on(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        "def labour(board):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(3); write('forked'); os._exit(0)\n"
        "    os.abort()\n"
        "ended(live(labour)); write('ended'); time.sleep(4)",
    )
    assert lines == ["ended", "forked"]


def test_a_job_that_takes_too_long_is_seen_from_outside(tmp_path: Path) -> None:
    run(
        tmp_path,
        "def labour(board):\n"
        "    board.begin(0, 0.01); time.sleep(60)\n"
        "horse = live(labour)\n"
        "while not horse.board.overdue(0.1): time.sleep(0.01)\n"
        "assert horse.board.overdue(50) == []\n"
        "horse.kill(); assert os.WTERMSIG(ended(horse).status) == 9",
    )


def test_its_hands_work_beside_each_other_and_one_that_fails_ends_it(tmp_path: Path) -> None:
    run(
        tmp_path,
        "met = threading.Barrier(2)\n"
        "def meet(board):\n"
        "    met.wait(20); return False\n"
        "assert ended(live(meet, meet)).is_done\n"
        "horse = ended(live(meet, lambda board: int('x'))); assert horse.status == 256",
    )
