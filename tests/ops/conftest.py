"""A real ``flask up`` in a directory of its own, with small programs instead of the application."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import free_port

REPOSITORY = Path(__file__).parents[2]
COMMAND = "from taskapi.ops.cli import up_command; up_command()"
SLEEPER = 'python -c "import time; time.sleep(600)"'
GREETER = """python -c "print('here'); import time; time.sleep(600)\""""


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that must become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def processes_in(directory: Path) -> dict[int, str]:
    """The living processes that work in this directory or below it, with their command lines."""
    found = {}
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if Path(os.readlink(link)).is_relative_to(directory):
                found[int(link.parent.name)] = link.with_name("cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


class Leader:
    """A running ``flask up``, and everything that it printed."""

    def __init__(self, directory: Path, name: str = "leader", **settings: str) -> None:
        self.directory = directory
        self._output = directory / f"{name}.txt"
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME") or "COV" in key}
        environment = {**kept, "PORT": str(free_port()), "PYTHONPATH": str(REPOSITORY), **settings}
        self.port = int(environment["PORT"])
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND],
                cwd=directory,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until it printed this text so many times."""
        wait_until(lambda: self.output.count(text) >= count or self.process.poll() is not None)
        assert self.output.count(text) >= count, self.output

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it and give its exit code."""
        self.process.send_signal(number)
        return self.process.wait(10)

    def wait(self) -> int:
        """The exit code of one that ends by itself."""
        return self.process.wait(15)


@pytest.fixture
def start_leader(tmp_path: Path) -> Iterator[Callable[..., Leader]]:
    """Starts leaders from a Procfile; whatever they leave is ended after the test."""
    leaders: list[Leader] = []

    def start(procfile: str | None = None, **settings: str) -> Leader:
        if procfile is not None:
            (tmp_path / "Procfile").write_text(procfile)
        leaders.append(Leader(tmp_path, f"leader{len(leaders)}", **settings))
        return leaders[-1]

    yield start
    for leader in leaders:
        if leader.process.poll() is None:
            leader.stop(signal.SIGKILL)
    # Over and over, for an undertaker or a replacement may be on its way.
    while left := processes_in(tmp_path):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
