"""The Procfile's commands and the environment they run in."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from honcho.environ import parse_procfile

from taskapi.config import Settings
from taskapi.core.processes import ChildProcess
from taskapi.ops.leader import UpError

# The repository's Procfile, for a directory without one.
PROCFILE = """\
release: flask db upgrade
web: gunicorn -c python:taskapi.ops.gunicorn_settings wsgi:app
worker: flask worker
scheduler: flask scheduler
"""
WSGI_FILE = Path("wsgi.py")
# What stands for wsgi.py where an installed taskapi runs without the repository.
APPLICATION = "taskapi.wsgi:app"


def read_procfile(path: Path) -> dict[str, str]:
    """The commands by name, in their order.

    Raises:
        UpError: the file cannot be read, names a process twice or none at all.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else _built_in()
        commands = dict(parse_procfile(text).processes)
    except (OSError, UnicodeDecodeError, AssertionError) as error:
        raise UpError(f"{path} cannot be understood: {error}") from error
    if not commands:
        raise UpError(f"{path} names no process")
    return commands


def make_process(name: str, command: str, environment: Mapping[str, str]) -> ChildProcess:
    """A process for a command, with ``$NAME`` taken from its environment; no shell is involved.

    Raises:
        UpError: the command's quotes do not match.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UpError(f"the command of {name} cannot be understood: {error}") from error
    return ChildProcess(name, [Template(word).safe_substitute(environment) for word in words], environment)


def make_environment(settings: Settings, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of the processes: what this one was told, with everything made definite."""
    # REDIS_URL is left as it is: unset, it means the embedded server to every command.
    return {
        "FLASK_APP": str(WSGI_FILE) if WSGI_FILE.exists() else APPLICATION,
        **os.environ,
        "PORT": str(settings.port),
        "HOST": settings.host,
        "DATA_DIR": str(settings.data_dir),
        "LOG_FILE": str(settings.log_file or settings.data_dir / "log" / "app.log"),
        "PYTHONUNBUFFERED": "1",
        # The programs of this virtual environment, also when it is not active.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        **extra,
    }


def _built_in() -> str:
    return PROCFILE if WSGI_FILE.exists() else PROCFILE.replace("wsgi:app", APPLICATION)
