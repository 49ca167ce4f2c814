"""``flask up``: migrations, web, worker and scheduler on one machine, from the Procfile."""

import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from taskapi.background.embedded import EmbeddedRedis
from taskapi.config import Settings
from taskapi.core.processes import ChildProcess, LaunchError
from taskapi.ops.leader import UpError, check_address, leader_lock
from taskapi.ops.output import Output
from taskapi.ops.procfile import make_environment, make_process, read_procfile
from taskapi.ops.release import is_released
from taskapi.ops.supervisor import LEADER, Signals, Supervisor, describe_exit
from taskapi.ops.undertaker import MARKER_VARIABLE, Undertaker
from taskapi.ops.welcome import Welcome

RELEASE = "release"
WEB = "web"
# Three programs that load at once on two cores would make the web process answer a second later.
HEAD_START_SECONDS = 2.0


def run_up(settings: Settings) -> int:
    """Run the whole service until it is told to stop; the exit code for the shell."""
    try:
        commands = read_procfile(Path("Procfile"))
        with ExitStack() as stack:
            signals = stack.enter_context(Signals())
            lock = stack.enter_context(leader_lock(settings.data_dir, settings.public_url))
            check_address(settings.host, settings.port)
            marker = secrets.token_hex(8)
            undertaker = Undertaker(lock, marker)
            stack.callback(undertaker.dismiss)
            output = Output(sys.stdout, [LEADER, *commands])
            supervisor = Supervisor(output, signals, undertaker, marker)
            stack.callback(supervisor.stop)
            environment = make_environment(settings, {MARKER_VARIABLE: marker})
            _start_redis(settings, supervisor, signals)
            _release(settings, commands.pop(RELEASE, None), environment, supervisor)
            if signals.stop_requested:
                return 0
            _start_all([make_process(*command, environment) for command in commands.items()], supervisor)
            supervisor.run(Welcome(settings, output))
    except (UpError, LaunchError) as error:
        sys.stderr.write(f"taskapi: {error}\n")
        return 1
    return 0


def _start_redis(settings: Settings, supervisor: Supervisor, signals: Signals) -> None:
    if not settings.redis_is_embedded:
        return
    server = EmbeddedRedis(settings.data_dir)
    # The others still write to it while they end.
    supervisor.start(server, ends_last=True)
    server.wait_until_ready(cancelled=lambda: signals.stop_requested)


def _release(
    settings: Settings, command: str | None, environment: Mapping[str, str], supervisor: Supervisor
) -> None:
    if command is None or is_released(settings.database_url):
        return
    code = supervisor.run_to_end(make_process(RELEASE, command, environment))
    if code != 0:
        raise UpError(f"the release step {describe_exit(code)}: nothing else was started")


def _start_all(processes: list[ChildProcess], supervisor: Supervisor) -> None:
    has_web = any(process.name == WEB for process in processes)
    for process in processes:
        if process.name == WEB:
            supervisor.start(process)
        else:
            supervisor.start_later(process, HEAD_START_SECONDS if has_web else 0.0)
