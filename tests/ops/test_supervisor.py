"""How processes are kept running."""

import os
import re
import signal
from collections.abc import Callable

from taskapi.ops.supervisor import Backoff, describe_exit
from tests.ops.conftest import SLEEPER, Leader, processes_in, wait_until

Start = Callable[..., Leader]


def test_the_wait_doubles_from_half_a_second_to_thirty() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay(lived=1) for _ in range(8)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_the_wait_begins_anew_after_a_life_of_thirty_seconds() -> None:
    backoff = Backoff()
    assert [backoff.next_delay(lived) for lived in (1, 1, 30, 1)] == [0.5, 1, 0.5, 1]


def test_an_exit_is_told_in_words() -> None:
    assert describe_exit(3) == "ended with exit code 3"
    assert describe_exit(-9) == "was ended by signal 9 (Killed)"


def test_a_process_that_dies_is_started_again_after_longer_and_longer_waits(start_leader: Start) -> None:
    leader = start_leader(f"""worker: python -c "print('at work')"\nother: {SLEEPER}\n""")
    leader.wait_for("at work", count=3)
    assert re.findall(r"worker ended with exit code 0: starting it again in (\S+) s", leader.output)[:2] == [
        "0.5",
        "1",
    ]
    assert "other ended" not in leader.output


def test_what_a_killed_process_leaves_in_its_group_is_ended_before_the_restart(
    start_leader: Start,
) -> None:
    program = r"import os, time; os.fork(); os.write(1, b'pid %d\n' % os.getpid()); time.sleep(600)"
    leader = start_leader(f'worker: python -c "{program}"\n')
    leader.wait_for("pid", count=2)
    first = [int(pid) for pid in re.findall(r"pid (\d+)", leader.output)]
    os.kill(min(first), signal.SIGKILL)
    leader.wait_for("pid", count=4)
    assert not set(first) & processes_in(leader.directory).keys()


def test_a_program_that_does_not_exist_stops_the_start_with_a_clear_line(start_leader: Start) -> None:
    leader = start_leader(f"worker: {SLEEPER}\nother: no-such-program --now\n")
    assert leader.wait() == 1
    assert leader.output.endswith("taskapi: cannot start other: no-such-program: No such file or directory\n")
    assert processes_in(leader.directory) == {}


def test_a_program_that_vanishes_is_tried_again(start_leader: Start) -> None:
    leader = start_leader("worker: ./program\n")
    assert leader.wait() == 1
    program = leader.directory / "program"
    program.write_text("#!/bin/sh\necho gone; rm program\n")
    program.chmod(0o700)
    leader = start_leader()
    leader.wait_for("cannot start worker: ./program: No such file or directory: starting it again in 1 s")
    program.write_text("#!/bin/sh\necho back; sleep 600\n")
    program.chmod(0o700)
    leader.wait_for("back")


def test_lines_carry_the_name_and_survive_any_bytes(start_leader: Start) -> None:
    program = (
        r"import os; os.write(1, b'caf\xc3\xa9 \xff\nno newline'); os.close(1); os.close(2); os.read(0, 1)"
    )
    leader = start_leader(f'worker: python -c "{program}"\n')
    leader.wait_for("no newline")
    assert re.search(r"^\d\d:\d\d:\d\d worker \| café \ufffd$", leader.output, re.MULTILINE)


def test_a_process_that_closes_its_output_goes_on(start_leader: Start) -> None:
    program = "import os, time; print('quiet', flush=True); os.close(1); os.close(2); time.sleep(600)"
    leader = start_leader(f'worker: python -c "{program}"\n')
    leader.wait_for("quiet")
    before = cpu_seconds(leader.process.pid)
    wait_until(lambda: len(processes_in(leader.directory)) == 4)
    assert cpu_seconds(leader.process.pid) - before < 0.1
    assert "ended" not in leader.output


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
