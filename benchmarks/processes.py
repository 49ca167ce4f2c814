"""Starting and ending what is measured: taskapi's own processes and its rivals'."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from taskapi.core.db import db
from taskapi.core.processes import tie_to

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
RIVALS = ROOT / "benchmarks" / ".rivals" / "bin"
START_SECONDS, STOP_SECONDS = 120.0, 15.0
SECRET = "a secret for benchmarks that is long enough"  # noqa: S105 - nobody keeps anything by it
# So high that nobody meets it, and counted all the same.
UNREACHED = "100000000/minute"


def environment(app: Flask, **settings: str) -> dict[str, str]:
    """The environment of a process of the installation, everything switched on."""
    own = app.extensions["taskapi_settings"]
    return {
        **os.environ,
        "SECRET_KEY": own.secret_key,
        "DATA_DIR": str(own.data_dir),
        "REDIS_URL": own.redis_url,
        "DATABASE_URL": own.database_url,
        "RATE_LIMIT_DEFAULT": UNREACHED,
        "METRICS_TOKEN": "a token for benchmarks",
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
        # What would ask a service outside.
        "WEATHER": "off",
        "WEB_CONCURRENCY": "2",
        "FLASK_APP": "wsgi.py",
        "PYTHONPATH": str(ROOT),
        # As where it is installed: the second start compiles nothing.
        "PYTHONDONTWRITEBYTECODE": "",
        **settings,
    }


def rivals_environment(app: Flask, url: str, **settings: str) -> dict[str, str]:
    """The environment of a rival's process; ``url`` is that of its database."""
    redis = app.extensions["taskapi_settings"].redis_url
    return {
        **os.environ,
        "SECRET_KEY": SECRET,
        "RIVALS_DATABASE_URL": url,
        "REDIS_URL": f"{redis}?db=1",
        "CELERY_BROKER_URL": f"{redis.replace('unix://', 'redis+socket://')}?virtual_host=1",
        "PYTHONPATH": str(ROOT),
        **settings,
    }


def rivals_database(app: Flask) -> str:
    """An empty database with the rivals' tables beside taskapi's own; its address."""
    url = sa.make_url(app.extensions["taskapi_settings"].database_url)
    with app.app_context(), db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE rivals")
    rivals = url.set(database="rivals")
    engine = sa.create_engine(rivals)
    with engine.begin() as connection:
        connection.exec_driver_sql((ROOT / "benchmarks" / "rivals" / "schema.sql").read_text())
    engine.dispose()
    return rivals.render_as_string(False)


@contextmanager
def running(
    command: Sequence[str | Path], variables: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process while the block runs; what it says goes to the file ``log``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            env=variables,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # Nothing of it stays when the measuring process is killed.
            preexec_fn=tie_to(os.getpid(), signal.SIGKILL),
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until(holds: Callable[[], bool], seconds: float = START_SECONDS, pause: float = 0.01) -> None:
    """Wait for something to hold.

    Raises:
        TimeoutError: it does not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(pause)


def answers(port: int, path: str) -> bool:
    """Whether a web server answers there at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def wait_for_answer(port: int, path: str, log: Path) -> None:
    """Wait for a web server to answer.

    Raises:
        RuntimeError: it does not; with the end of what it said.
    """
    try:
        wait_until(lambda: answers(port, path))
    except TimeoutError:
        raise RuntimeError(log.read_text()[-3000:]) from None
